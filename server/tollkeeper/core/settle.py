"""Settles a hold by the outcome of its request, or by its deadline.

The table in docs/rules.md ("Settling a hold") is this file in prose. The caller holds the account's lock and
has read the reservation under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core import limits as limits_
from tollkeeper.core.account import Account, do_what_is_due, repaid
from tollkeeper.core.change import Change, Settled
from tollkeeper.core.errors import Reason, Refused, key_reused
from tollkeeper.core.fast_tuples import made
from tollkeeper.core.grants import consume, give_back, take
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import (
    BY_NOBODY,
    How,
    Reservation,
    ReservationName,
    ReservationState,
)
from tollkeeper.core.usage import RELEASED, Usage, UsageKind

if TYPE_CHECKING:
    from tollkeeper.core.credits import Balance

_HELD = ReservationState.HELD
_VALID = Outcome.VALID_RESPONSE


def settle(
    account: Account,
    reservation: Reservation,
    outcome: Outcome,
    *,
    field: str,
    now_us: int,
    late_window_us: int,
    how: How = BY_NOBODY,
) -> tuple[Settled, Change | None]:
    """Charge a hold or give it back. `field` is the one that told the outcome, for the message of a refusal.

    `how` is remembered by the call that settles it, and by no later one.
    """
    if reservation.state is _HELD and now_us < reservation.expires_us:
        due, due_entries = do_what_is_due(account, now_us)
        if outcome is _VALID:
            change = _charge(due, reservation, how, now_us=now_us)
        else:
            change = _release(due, reservation, outcome, how, now_us=now_us)
        if due_entries:
            change = change._replace(entries=due_entries + change.entries)
        return _answer(change.reservation or reservation, change.account.balance, outcome), change

    if reservation.state in (ReservationState.COMMITTED, ReservationState.RELEASED):
        balance = do_what_is_due(account, now_us)[0].balance
        return _repeat(reservation, outcome, balance, field=field, how=how), None
    return _settle_late(
        account, reservation, outcome, now_us=now_us, late_window_us=late_window_us, how=how
    )


def end_overdue(account: Account, reservation: Reservation, *, now_us: int) -> Change | None:
    """End a hold that is past its deadline; None where it is not, or has ended already."""
    if reservation.state is not _HELD or now_us < reservation.expires_us:
        return None
    due, due_entries = do_what_is_due(account, now_us)
    after, entries = _given_back(due, reservation, now_us)
    expired = reservation.ended(ReservationState.EXPIRED, outcome=None, settled_us=now_us)
    change = Change(after, due_entries + entries, expired, (_expiry_count(reservation, 1),))
    return _counted(change, used=0, held=-1)


def _charge(account: Account, reservation: Reservation, how: How, *, now_us: int) -> Change:
    """Turn a hold into a charge. Hot: rows are built by position."""
    credits = reservation.credits
    settled = account.settled - credits
    sequence = account.sequence + 1
    after = made(
        Account,
        (
            *account[:5],  # up to `credit_limit`
            settled,
            account.held - credits,
            account.charged + credits,
            sequence,
            account.created_us,
            consume(account.grants, reservation.slices),
            *account[11:],  # from `limits`
        ),
    )
    entry = made(
        Entry,
        (
            account.key,
            sequence,
            EntryKind.CHARGE,
            -credits,
            settled,
            now_us,
            reservation.reservation_id,
            0,  # grant_id
            reservation.endpoint_id,
            reservation.price_version,
            "",  # note
        ),
    )
    committed = reservation.ended(
        ReservationState.COMMITTED,
        outcome=_VALID,
        settled_us=now_us,
        how=how,
        charge_sequence=sequence,
    )
    counter = (account.key, reservation.endpoint_id, now_us, UsageKind.CHARGED)
    usage = made(Usage, (*counter, 1, credits))
    change = made(Change, (repaid(after), (entry,), committed, (usage,), ()))
    return _counted(change, used=1, held=-1) if reservation.windows else change


def _release(
    account: Account, reservation: Reservation, outcome: Outcome, how: How, *, now_us: int
) -> Change:
    after, entries = _given_back(account, reservation, now_us)
    released = reservation.ended(
        ReservationState.RELEASED, outcome=outcome, settled_us=now_us, how=how
    )
    kind = UsageKind(RELEASED.start + outcome)
    usage = Usage(account.key, reservation.endpoint_id, now_us, kind, 1, 0)
    return _counted(Change(after, entries, released, (usage,)), used=0, held=-1)


def _settle_late(
    account: Account,
    reservation: Reservation,
    outcome: Outcome,
    *,
    now_us: int,
    late_window_us: int,
    how: How,
) -> tuple[Settled, Change | None]:
    ended = end_overdue(account, reservation, now_us=now_us)
    if outcome is not _VALID:
        balance = (ended.account if ended else do_what_is_due(account, now_us)[0]).balance
        return Settled(ReservationState.EXPIRED, outcome, 0, balance, late=True), ended
    if now_us >= reservation.expires_us + late_window_us:
        raise _too_late(reservation, late_window_us)

    # No refusal is left: the request was processed, so it is charged in full.
    before = ended or _due(account, reservation, now_us)
    change = before.then(_charge_late(before.account, reservation, how, now_us=now_us))
    assert change.reservation is not None  # noqa: S101 - _charge_late always ends it
    return _answer(change.reservation, change.account.balance, outcome), change


def _due(account: Account, reservation: Reservation, now_us: int) -> Change:
    due, entries = do_what_is_due(account, now_us)
    return Change(due, entries, reservation)


def _charge_late(account: Account, reservation: Reservation, how: How, *, now_us: int) -> Change:
    """Charge what was given back at the deadline: from the grants open now, in burn order; the rest is owed."""
    credits = reservation.credits
    slices, grants = take(account.grants, credits, consumed=True)
    settled = account.settled - credits
    entry = Entry(
        account_key=account.key,
        sequence=account.sequence + 1,
        kind=EntryKind.LATE_CHARGE,
        credits=-credits,
        settled=settled,
        created_us=now_us,
        reservation_id=reservation.reservation_id,
        endpoint_id=reservation.endpoint_id,
        price_version=reservation.price_version,
    )
    after = account._replace(
        settled=settled,
        charged=account.charged + credits,
        sequence=entry.sequence,
        grants=grants,
    )
    committed = reservation.ended(
        ReservationState.COMMITTED,
        outcome=_VALID,
        settled_us=now_us,
        slices=slices,
        late=True,
        how=how,
        charge_sequence=entry.sequence,
    )
    usage = (
        _expiry_count(reservation, -1),
        Usage(account.key, reservation.endpoint_id, now_us, UsageKind.CHARGED, 1, credits),
    )
    return _counted(Change(after, (entry,), committed, usage), used=1, held=0)


def _counted(change: Change, *, used: int, held: int) -> Change:
    """Move what the reservation counts for in the windows that authorized it, also those that are over."""
    account, _, reservation, *_ = change
    if reservation is None or not reservation.windows:
        return change
    windows = reservation.windows
    limits = limits_.settled(account.limits, windows, used=used, held=held)
    return change._replace(
        account=account._replace(limits=limits),
        windows=limits_.counts(account.key, windows, used=used, held=held),
    )


def _given_back(
    account: Account, reservation: Reservation, now_us: int
) -> tuple[Account, tuple[Entry, ...]]:
    """Give a hold's credits back to its grants; what belongs to an expired one expires, what is owed is repaid."""
    after = account._replace(
        held=account.held - reservation.credits,
        grants=give_back(account.grants, reservation.slices),
    )
    after, entries = do_what_is_due(after, now_us)
    return repaid(after), entries


def _expiry_count(reservation: Reservation, requests: int) -> Usage:
    return Usage(
        reservation.account_key,
        reservation.endpoint_id,
        reservation.expires_us,
        UsageKind.EXPIRED,
        requests,
        0,
    )


def _answer(reservation: Reservation, balance: Balance, outcome: Outcome) -> Settled:
    credits = reservation.credits if reservation.state is ReservationState.COMMITTED else 0
    return made(Settled, (reservation.state, outcome, credits, balance, reservation.late, False))


def _repeat(
    reservation: Reservation, outcome: Outcome, balance: Balance, *, field: str, how: How
) -> Settled:
    if how.http_status and how.http_status == reservation.http_status and reservation.outcome:
        # The very status that settled it, by a server to which that status may have meant something else.
        outcome = reservation.outcome
    if reservation.state is ReservationState.COMMITTED and outcome is not _VALID:
        raise already_committed(reservation)
    if reservation.state is ReservationState.RELEASED and outcome is _VALID:
        raise already_released(reservation)
    if reservation.outcome is not outcome:
        name = str(ReservationName(reservation.account_key, reservation.reservation_id))
        before = reservation.outcome.name if reservation.outcome else "no outcome"
        raise key_reused("reservation_id", name, field, before=before, now=outcome.name)
    return _answer(reservation, balance, outcome)._replace(replayed=True)


def already_committed(reservation: Reservation) -> Refused:
    """Return the refusal of what needs a hold that did not charge."""
    name = str(ReservationName(reservation.account_key, reservation.reservation_id))
    return Refused(
        Reason.ALREADY_COMMITTED,
        f"reservation {name} was committed and charged {reservation.credits} credits",
        metadata={"reservation_id": name, "state": "COMMITTED"},
    )


def already_released(reservation: Reservation) -> Refused:
    """Return the refusal of what needs a hold that was not given back."""
    name = str(ReservationName(reservation.account_key, reservation.reservation_id))
    return Refused(
        Reason.ALREADY_RELEASED,
        f"reservation {name} was released and its credits given back",
        metadata={"reservation_id": name, "state": "RELEASED"},
    )


def _too_late(reservation: Reservation, late_window_us: int) -> Refused:
    name = str(ReservationName(reservation.account_key, reservation.reservation_id))
    return Refused(
        Reason.RESERVATION_EXPIRED,
        f"reservation {name} expired more than {late_window_us / 1_000_000:g} s ago; "
        "a late commit is no longer taken",
        metadata={"reservation_id": name, "state": "EXPIRED"},
    )
