"""Creates and ends recurring grants. What they give is for `account.do_what_is_due`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.account import Account, AccountState, do_what_is_due
from tollkeeper.core.change import Change
from tollkeeper.core.credits import BALANCE_MAX
from tollkeeper.core.errors import Reason, Refused, invalid
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.recurring.commands import CreateRecurringGrant, EndRecurringGrant
from tollkeeper.core.recurring.periods import RecurringCalendar
from tollkeeper.core.recurring.recurring_grants import (
    NUMBER_MAX,
    RECURRING_MAX,
    Recurring,
    RecurringGrant,
    sorted_by_due,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_end(end_us: int | None, *, now_us: int) -> None:
    """Raise Refused for an end that has come."""
    if end_us is not None and end_us <= now_us:
        raise invalid("end_time", "must be in the future")


def create_recurring_grant(
    account: Account, command: CreateRecurringGrant, *, now_us: int
) -> tuple[RecurringGrant, Change]:
    """Give credits at the beginning of every period; a first one that contains now is granted at once, in full.

    Raises Refused where the account is closed, has too many, or would have a balance that is too large.
    """
    due, entries = do_what_is_due(account, now_us)
    if due.state is AccountState.CLOSED:
        raise account_closed(due.account_id)
    anchor_us = now_us if command.anchor_us is None else command.anchor_us
    calendar = RecurringCalendar(command.period, anchor_us, command.time_zone)
    first = calendar.beginning(0) if anchor_us > now_us else calendar.containing(now_us)
    if first.at_us <= now_us and due.settled + command.credits > BALANCE_MAX:
        raise invalid("credits", f"would lead to a balance over {BALANCE_MAX}")
    number = 1 + max((each.number for each in due.recurring), default=0)
    kept = with_room(due.recurring, number, due.account_id, now_us=now_us)

    # No refusal is left.
    first_place = {
        "number": number,
        "anchor_us": anchor_us,
        "created_us": now_us,
        "granted": 0,
        "next_nth": first.nth,
        "next_us": first.at_us,
    }
    recurring = sorted_by_due((*kept, as_made(command, first_place)))
    after, granted = do_what_is_due(due._replace(recurring=recurring), now_us)
    new = next(each for each in after.recurring if each.number == number)
    return new, Change(after, (*entries, *granted))


def what_was_made(new: RecurringGrant) -> Mapping[str, int]:
    """Return the numbers of a new recurring grant that its command does not have, for the record of the call."""
    return {
        "number": new.number,
        "anchor_us": new.anchor_us,
        "created_us": new.created_us,
        "granted": new.granted,
        "next_nth": new.next_nth,
        "next_us": new.next_us,
    }


def as_made(command: CreateRecurringGrant, made: Mapping[str, int]) -> RecurringGrant:
    """Return a recurring grant as its command and these numbers say."""
    return RecurringGrant(
        number=made["number"],
        credits=command.credits,
        period=command.period,
        anchor_us=made["anchor_us"],
        time_zone=command.time_zone,
        rollover_max=command.rollover_max,
        priority=command.priority,
        note=command.note,
        end_us=NEVER_US if command.end_us is None else command.end_us,
        created_us=made["created_us"],
        granted=made["granted"],
        next_nth=made["next_nth"],
        next_us=made["next_us"],
    )


def end_recurring_grant(
    account: Account, command: EndRecurringGrant, *, now_us: int
) -> tuple[RecurringGrant, Change]:
    """Let no period begin any more; one that has ended stays as it is.

    Raises Refused where the account has none of this number.
    """
    due, entries = do_what_is_due(account, now_us)
    grant = next((each for each in due.recurring if each.number == command.number), None)
    if grant is None:
        raise recurring_grant_not_found(command.account_id, str(command.number))
    if grant.has_ended(now_us):
        return grant, Change(due, entries)
    after = grant.until(now_us if command.end_us is None else command.end_us)
    others = tuple(each for each in due.recurring if each is not grant)
    return after, Change(due._replace(recurring=sorted_by_due((*others, after))), entries)


def all_ended(recurring: Recurring, now_us: int) -> Recurring:
    """Return recurring grants none of which gives anything any more."""
    return sorted_by_due(
        tuple(each if each.has_ended(now_us) else each.until(now_us) for each in recurring)
    )


def recurring_grant_not_found(account_id: str, recurring: str) -> Refused:
    """Return the refusal of a call that names a recurring grant which the account does not have."""
    return Refused(
        Reason.RECURRING_GRANT_NOT_FOUND,
        f"account {account_id} has no recurring grant {recurring}",
        metadata={"account_id": account_id, "recurring_grant_id": recurring},
    )


def with_room(recurring: Recurring, number: int, account_id: str, *, now_us: int) -> Recurring:
    """Return those that stay when one more is made: the first of those that have ended makes room."""
    if number > NUMBER_MAX:
        raise _too_many(account_id, f"had {NUMBER_MAX} recurring grants, the most in its life")
    if len(recurring) < RECURRING_MAX:
        return recurring
    gone = min(
        (each for each in recurring if each.has_ended(now_us)),
        key=lambda each: (each.end_us, each.number),
        default=None,
    )
    if gone is None:
        raise _too_many(account_id, f"has {RECURRING_MAX} recurring grants; end one first")
    return tuple(each for each in recurring if each is not gone)


def account_closed(account_id: str) -> Refused:
    """Return the refusal of a closed account, which gets no recurring grant."""
    return Refused(
        Reason.ACCOUNT_CLOSED,
        f"account {account_id} is closed; open it first",
        metadata={"account_id": account_id},
    )


def _too_many(account_id: str, what: str) -> Refused:
    return Refused(
        Reason.TOO_MANY_RECURRING_GRANTS,
        f"account {account_id} {what}",
        metadata={"account_id": account_id},
    )
