"""Gives back a charge, whole or in part, to the grants that paid for it, in reverse.

What comes back to a grant that has expired expires, and to one that was voided is voided, unless the call names a
new expiry: then a new grant has it. What was drawn on the credit line lowers what is owed; where that has been
repaid meanwhile, it goes to the grants that have been consumed, the last in burn order first.

The law behind it: consumed credits of all grants + owed = charged, net of refunds, + debited + given anew.

After the reservation was moved out, the journal still has its charge, but not who paid. A refund then
is a new grant of the account. What such refunds gave anew is charged no more, and still consumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.account import Account, do_what_is_due, granted, repaid
from tollkeeper.core.answers.views import Refunded
from tollkeeper.core.change import Change
from tollkeeper.core.credits import BALANCE_MAX
from tollkeeper.core.errors import Reason, Refused, invalid
from tollkeeper.core.grants import CREDIT_LINE, NEVER_US, Grant, Grants, Slice, Slices, inserted
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.usage import Usage, UsageKind

if TYPE_CHECKING:
    from tollkeeper.core.commands import Refund


def refund(
    account: Account, reservation: Reservation, command: Refund, *, now_us: int, new_id: int
) -> tuple[Refunded, Change]:
    """Return the answer and the change. The account has all its grants here, not only the open ones.

    `new_id` is the id of the new grant, if one is made. Raises Refused where there is no such charge to give back.
    """
    credits = _credits_of(reservation, command)
    due, entries = do_what_is_due(account, now_us)
    if due.settled + credits > BALANCE_MAX:
        raise invalid("credits", f"would lead to a balance over {BALANCE_MAX}")

    back = _given_back(due, reservation, credits)
    entry = Entry(
        account_key=due.key,
        sequence=due.sequence + 1,
        kind=EntryKind.REFUND,
        credits=credits,
        settled=due.settled + credits,
        created_us=now_us,
        reservation_id=reservation.reservation_id,
        endpoint_id=reservation.endpoint_id,
        price_version=reservation.price_version,
        note=command.note,
    )
    after = due._replace(
        settled=entry.settled,
        charged=due.charged - credits,
        sequence=entry.sequence,
        grants=back,
    )
    after, gone = do_what_is_due(after, now_us)
    entries = (*entries, entry, *gone)
    grant_id = 0
    if gone and command.expires_us is not None:
        grant_id = new_id
        after, granted = _granted_anew(after, gone, command, now_us=now_us, new_id=new_id)
        entries = (*entries, granted)
    usage = Usage(due.key, reservation.endpoint_id, now_us, UsageKind.REFUNDED, 1, credits)
    refunded = reservation._replace(refunded=reservation.refunded + credits)
    after = repaid(after)
    answer = Refunded(credits, grant_id, after.balance)
    return answer, Change(after, entries, refunded, (usage,))


def refund_from_journal(
    account: Account,
    charge: Entry,
    command: Refund,
    *,
    refunded: int,
    now_us: int,
    new_id: int,
) -> tuple[Refunded, Change]:
    """Return the answer and the change for a charge whose reservation was moved out: a new grant, under `new_id`.

    `refunded` is what was given back of the charge before. Raises Refused where so much is not left of it.
    """
    name = str(command.reservation)
    credits = _credits(name, charged=-charge.credits, refunded=refunded, command=command)
    due, entries = do_what_is_due(account, now_us)
    if due.settled + credits > BALANCE_MAX:
        raise invalid("credits", f"would lead to a balance over {BALANCE_MAX}")

    # No refusal is left.
    expires_us = NEVER_US if command.expires_us is None else command.expires_us
    grant = Grant(new_id, credits, credits, 0, 0, 0, 0, 0, now_us, expires_us, command.note)
    after, granting = granted(due, grant, now_us=now_us)
    entry = granting._replace(
        kind=EntryKind.REFUND,
        reservation_id=charge.reservation_id,
        endpoint_id=charge.endpoint_id,
        price_version=charge.price_version,
    )
    after = after._replace(charged=after.charged - credits)
    usage = Usage(due.key, charge.endpoint_id, now_us, UsageKind.REFUNDED, 1, credits)
    answer = Refunded(credits, new_id, after.balance)
    return answer, Change(after, (*entries, entry), usage=(usage,))


def _credits_of(reservation: Reservation, command: Refund) -> int:
    name = str(ReservationName(reservation.account_key, reservation.reservation_id))
    if reservation.state is not ReservationState.COMMITTED:
        raise Refused(
            Reason.NOT_COMMITTED,
            f"reservation {name} is {reservation.state.name} and charged nothing",
            metadata={"reservation_id": name, "state": reservation.state.name},
        )
    return _credits(
        name, charged=reservation.credits, refunded=reservation.refunded, command=command
    )


def _credits(name: str, *, charged: int, refunded: int, command: Refund) -> int:
    left = charged - refunded
    credits = left if command.credits is None else command.credits
    if credits > left or not credits:
        raise Refused(
            Reason.REFUND_EXCEEDS_CHARGE,
            f"reservation {name} charged {charged} credits, of which "
            f"{refunded} are refunded; {left} are left to refund",
            metadata={"reservation_id": name, "left": str(left)},
        )
    return credits


def _given_back(account: Account, reservation: Reservation, credits: int) -> Grants:
    """Return the account's grants with the credits remaining again in those that are to have them."""
    grants = {grant.grant_id: grant for grant in account.grants}
    elsewhere = 0
    for grant_id, part in _parts(reservation.slices, skip=reservation.refunded, credits=credits):
        grant = grants.get(grant_id) if grant_id != CREDIT_LINE else None
        own = min(part, grant.consumed) if grant else 0
        if grant and own:
            grants[grant_id] = grant.moved(consumed=-own, remaining=own)
        elsewhere += part - own
    left = elsewhere - account.owed
    for grant in reversed(account.grants):
        if left <= 0:
            break
        now = grants[grant.grant_id]
        part = min(left, now.consumed)
        grants[grant.grant_id] = now.moved(consumed=-part, remaining=part)
        left -= part
    return tuple(grants[grant.grant_id] for grant in account.grants)


def _parts(slices: Slices, *, skip: int, credits: int) -> Slices:
    """Return the last slices first, without the `skip` credits of earlier refunds, up to `credits` in all."""
    parts: list[Slice] = []
    for grant_id, paid in reversed(slices):
        skipped = min(skip, paid)
        part = min(credits, paid - skipped)
        skip -= skipped
        credits -= part
        if part:
            parts.append(Slice(grant_id, part))
    return tuple(parts)


def _granted_anew(
    account: Account, gone: tuple[Entry, ...], command: Refund, *, now_us: int, new_id: int
) -> tuple[Account, Entry]:
    """Give what expired or was voided on the way back as a new grant, of the rank of the first that it came from."""
    assert command.expires_us is not None  # noqa: S101 - the caller has looked
    credits = -sum(entry.credits for entry in gone)
    rank = next(each.priority for each in account.grants if each.grant_id == gone[0].grant_id)
    grant = Grant(
        new_id, credits, credits, 0, 0, 0, 0, rank, now_us, command.expires_us, command.note
    )
    entry = Entry(
        account_key=account.key,
        sequence=account.sequence + 1,
        kind=EntryKind.GRANT,
        credits=credits,
        settled=account.settled + credits,
        created_us=now_us,
        grant_id=new_id,
        note=command.note,
    )
    after = account._replace(
        settled=entry.settled, sequence=entry.sequence, grants=inserted(account.grants, grant)
    )
    return after, entry
