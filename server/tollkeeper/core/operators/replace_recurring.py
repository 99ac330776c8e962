"""Replaces a recurring grant by another: at once, in proportion to the time that is left of the period, or at the next.

The share of a plan is its credits of a whole period, times what is left of the present one, rounded down. The share of
the old one is taken back from what remains of its grant for this period; what does not remain of it, because it was
used, is held or was taken back before, is deducted from what the new one gives at once. So a plan that is replaced by
an equal one, however often, leaves the account with as much as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.account import Account, AccountState, do_what_is_due, granted
from tollkeeper.core.change import Change
from tollkeeper.core.credits import BALANCE_MAX
from tollkeeper.core.errors import invalid
from tollkeeper.core.grants import NEVER_US, Grant
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.operators.create_recurring import (
    account_closed,
    recurring_grant_not_found,
    with_room,
)
from tollkeeper.core.recurring.commands import When
from tollkeeper.core.recurring.periods import Beginning, RecurringCalendar, RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import RecurringGrant, regular_grant, sorted_by_due

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.core.recurring.commands import ReplaceRecurringGrant


class Replaced(NamedTuple):
    """The new recurring grant, when the old one ends, what was taken back of it, and what was given at once."""

    recurring: RecurringGrant
    end_us: int
    voided: int
    given: int


class _Exchange(NamedTuple):
    """What changes hands now: credits taken back from a grant, and credits given until the next period begins."""

    grant: Grant | None
    voided: int
    given: int
    following: Beginning


def replace_recurring_grant(
    account: Account, command: ReplaceRecurringGrant, *, now_us: int
) -> tuple[Replaced, Change]:
    """Let one recurring grant end and another begin. The account has all its grants here, not only the open ones.

    Raises Refused where the account is closed, has no such recurring grant or one that gives nothing any more, has
    too many, or would have a balance that is too large.
    """
    due, entries = do_what_is_due(account, now_us)
    old = _to_be_replaced(due, command, now_us=now_us)
    at_once = command.when is When.NOW and old.granted > 0
    exchange = _exchange(due, old, command, now_us=now_us) if at_once else None
    if exchange and due.settled - exchange.voided + exchange.given > BALANCE_MAX:
        raise invalid("credits", f"would lead to a balance over {BALANCE_MAX}")
    ended = old.until(now_us if command.when is When.NOW else old.next_us)
    others = (*(each for each in due.recurring if each.number != old.number), ended)
    number = 1 + max(each.number for each in others)
    kept = with_room(others, number, due.account_id, now_us=now_us)

    # No refusal is left.
    new = _new(old, command, number, now_us=now_us)
    if exchange is not None:
        new = _begun(new, exchange)
        due, voided = _taken_back(due, exchange, command.note, now_us=now_us)
        first = regular_grant(
            new,
            place=0,
            credits=exchange.given,
            created_us=now_us,
            expires_us=exchange.following.at_us,
        )
        due, given = granted(due, first, now_us=now_us)
        entries = (*entries, *voided, given)
    after = due._replace(recurring=sorted_by_due((*kept, new)))
    taken, gave = (exchange.voided, exchange.given) if exchange else (0, 0)
    return Replaced(new, ended.end_us, taken, gave), Change(after, entries)


def what_was_replaced(replaced: Replaced) -> Mapping[str, int]:
    """Return the numbers of the answer that the command does not have, for the record of the call."""
    new = replaced.recurring
    return {
        "number": new.number,
        "period": new.period,
        "anchor_us": new.anchor_us,
        "end_us": new.end_us,
        "created_us": new.created_us,
        "granted": new.granted,
        "next_nth": new.next_nth,
        "next_us": new.next_us,
        "old_end_us": replaced.end_us,
        "voided": replaced.voided,
        "given": replaced.given,
    }


def as_replaced(
    command: ReplaceRecurringGrant, result: Mapping[str, int], time_zone: str
) -> Replaced:
    """Return the first answer, from the command and what its record says."""
    new = RecurringGrant(
        number=result["number"],
        credits=command.credits,
        period=RecurringPeriod(result["period"]),
        anchor_us=result["anchor_us"],
        time_zone=time_zone,
        rollover_max=command.rollover_max,
        priority=command.priority,
        note=command.note,
        end_us=result["end_us"],
        created_us=result["created_us"],
        granted=result["granted"],
        next_nth=result["next_nth"],
        next_us=result["next_us"],
    )
    return Replaced(new, result["old_end_us"], result["voided"], result["given"])


def _to_be_replaced(due: Account, command: ReplaceRecurringGrant, *, now_us: int) -> RecurringGrant:
    old = next((each for each in due.recurring if each.number == command.number), None)
    if old is None:
        raise recurring_grant_not_found(command.account_id, str(command.number))
    if due.state is AccountState.CLOSED:
        raise account_closed(due.account_id)
    if old.has_ended(now_us) or (not old.granted and old.next_us == NEVER_US):
        raise invalid("recurring_grant_id", "has ended; create a recurring grant instead")
    if command.when is When.NEXT_PERIOD and old.next_us == NEVER_US:
        raise invalid("when", "must be NOW, since the recurring grant has no next period")
    return old


def _exchange(
    due: Account, old: RecurringGrant, command: ReplaceRecurringGrant, *, now_us: int
) -> _Exchange:
    """Work out what is taken back of the old one, and what the new one gives."""
    following = Beginning(old.next_nth, old.following_us)
    left_us = max(0, following.at_us - now_us)
    length_us = max(1, left_us, following.at_us - old.calendar.containing(now_us).at_us)
    grant = next((each for each in due.grants if each.grant_id == old.latest_grant_id), None)
    share = old.credits * left_us // length_us
    voided = min(share, grant.remaining if grant else 0)
    period = old.period if command.period is None else command.period
    full = command.credits
    if period is old.period:
        full = full * left_us // length_us
    else:
        following = RecurringCalendar(period, now_us, old.time_zone).after(0)
    return _Exchange(grant, voided, max(0, full - (share - voided)), following)


def _new(
    old: RecurringGrant, command: ReplaceRecurringGrant, number: int, *, now_us: int
) -> RecurringGrant:
    """Return the new one, as it is before it gives anything: on the old one's calendar, if its periods are the same."""
    new = old._replace(
        number=number,
        credits=command.credits,
        rollover_max=command.rollover_max,
        priority=command.priority,
        note=command.note,
        created_us=now_us,
        granted=0,
    )
    if command.period is None or command.period is old.period:
        return new
    at_once = command.when is When.NOW and old.granted > 0
    begins_us = now_us if at_once else old.next_us
    return new._replace(period=command.period, anchor_us=begins_us, next_nth=0, next_us=begins_us)


def _begun(new: RecurringGrant, exchange: _Exchange) -> RecurringGrant:
    """Return the new one with its first period behind it: what is left of the old one's, or one of its own."""
    nth, at_us = exchange.following
    return new._replace(granted=1, next_nth=nth, next_us=at_us if at_us < new.end_us else NEVER_US)


def _taken_back(
    due: Account, exchange: _Exchange, note: str, *, now_us: int
) -> tuple[Account, tuple[Entry, ...]]:
    """Void a part of a grant. It is not void by that: what comes back to it from a hold, remains."""
    grant, voided = exchange.grant, exchange.voided
    if grant is None or not voided:
        return due, ()
    entry = Entry(
        account_key=due.key,
        sequence=due.sequence + 1,
        kind=EntryKind.GRANT_VOIDED,
        credits=-voided,
        settled=due.settled - voided,
        created_us=now_us,
        grant_id=grant.grant_id,
        note=note,
    )
    less = grant.moved(remaining=-voided, voided=voided)
    grants = tuple(less if each is grant else each for each in due.grants)
    return due._replace(settled=entry.settled, sequence=entry.sequence, grants=grants), (entry,)
