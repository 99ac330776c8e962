"""Recurring grants: so many credits at the beginning of every period.

There is no job. The next period to be granted is part of the account. The first call on the account after the period's
beginning grants it, under the account's lock and exactly once (`account.do_what_is_due`). The id of such a grant is
known beforehand. It is made from the recurring grant's number and the place of the period alone: a read shows the same
grant as a later operation writes, and the ledger's key refuses a second one of the same period.
"""

from __future__ import annotations

from typing import NamedTuple

from tollkeeper.core.grants import NEVER_US, Grant, Grants
from tollkeeper.core.recurring.periods import RecurringCalendar, RecurringPeriod

RECURRING_MAX = 20
"""The most recurring grants of one account, those included that have ended and are still shown."""

NUMBER_MAX = 10_000
"""The most recurring grants that an account has in its life: a number is never given twice."""

RESERVED_LANE = 2**10 - 1
"""The lane bits of the ids made here; no lane ever draws them (`engine/ids.py`)."""

_LANE_BITS, _COUNTER_BITS, _PLACE_BITS = 10, 12, 22
_ROLLED_OVER, _REGULAR = 0, 1

ORIGIN_MASK = (1 << _LANE_BITS + _COUNTER_BITS) - 1
OF_PERIOD = RESERVED_LANE << _COUNTER_BITS | _REGULAR
"""An id has these bits, of those of the mask, where its grant is that of a period, and not what rolled over."""


class RecurringGrant(NamedTuple):
    """What is given, how often, and how far it has come.

    `number` is its name within the account. `granted` is how many periods have been granted, `next_nth` and `next_us`
    the first that has not; `next_us` is NEVER_US where none is to come. No period begins at `end_us` or later.
    """

    number: int
    credits: int
    period: RecurringPeriod
    anchor_us: int
    time_zone: str
    rollover_max: int
    priority: int
    note: str
    end_us: int
    created_us: int
    granted: int
    next_nth: int
    next_us: int

    @property
    def calendar(self) -> RecurringCalendar:
        """When its periods begin."""
        return RecurringCalendar(self.period, self.anchor_us, self.time_zone)

    @property
    def due_order(self) -> tuple[int, int]:
        """The one whose next period begins first, first."""
        return (self.next_us, self.number)

    def has_ended(self, now_us: int) -> bool:
        """Say whether its end has come."""
        return self.end_us <= now_us

    @property
    def following_us(self) -> int:
        """Where the latest period ends, also where none is to come after it."""
        if self.next_us != NEVER_US:
            return self.next_us
        return self.calendar.beginning(self.next_nth).at_us

    @property
    def latest_grant_id(self) -> int:
        """The id of the grant that it made for its latest period, where it has begun."""
        return id_of(Origin(self.number, self.granted - 1, rolled_over=False))

    def until(self, end_us: int) -> RecurringGrant:
        """Return it with another end; what has been granted stays."""
        begins_us = self.following_us
        return self._replace(end_us=end_us, next_us=begins_us if begins_us < end_us else NEVER_US)


Recurring = tuple[RecurringGrant, ...]
"""An account's recurring grants in due order."""

NO_RECURRING: Recurring = ()


class Origin(NamedTuple):
    """What a grant's id tells of one that a recurring grant made; `place` counts its periods from 0."""

    number: int
    place: int
    rolled_over: bool


def origin_of(grant_id: int) -> Origin | None:
    """Return which recurring grant made a grant, and for which of its periods; None for any other grant."""
    above = grant_id >> _COUNTER_BITS
    kind = grant_id & ((1 << _COUNTER_BITS) - 1)
    number, place = divmod(above >> _LANE_BITS, 1 << _PLACE_BITS)
    reserved = above & ((1 << _LANE_BITS) - 1) == RESERVED_LANE
    # Before its bits were reserved, a lane may have drawn them: its ids are of times that no number reaches.
    if not reserved or not 1 <= number <= NUMBER_MAX or kind not in (_ROLLED_OVER, _REGULAR):
        return None
    return Origin(number, place, kind == _ROLLED_OVER)


def id_of(origin: Origin) -> int:
    """Return the id of the grant that a recurring grant makes for one of its periods."""
    time_bits = origin.number << _PLACE_BITS | origin.place
    kind = _ROLLED_OVER if origin.rolled_over else _REGULAR
    return (time_bits << _LANE_BITS | RESERVED_LANE) << _COUNTER_BITS | kind


def sorted_by_due(recurring: Recurring) -> Recurring:
    """Return an account's recurring grants in due order."""
    return tuple(sorted(recurring, key=lambda each: each.due_order))


def by_number(recurring: Recurring) -> Recurring:
    """Return recurring grants in the order in which they were made."""
    return tuple(sorted(recurring, key=lambda each: each.number))


def left_of(recurring: RecurringGrant, grants: Grants) -> int:
    """Return what remains of the grants that it made for its latest period, which ends where the next begins."""
    if not recurring.granted:
        return 0
    latest = {
        id_of(Origin(recurring.number, recurring.granted - 1, rolled_over))
        for rolled_over in (False, True)
    }
    return sum(
        grant.remaining
        for grant in grants
        # One that goes on would roll over and stay: when a zone's rules have changed since it was made.
        if grant.grant_id in latest and grant.expires_us <= recurring.next_us
    )


def regular_grant(
    recurring: RecurringGrant, *, place: int, credits: int, created_us: int, expires_us: int
) -> Grant:
    """Return the grant of one of its periods; with fewer credits than it gives, where it took another one's place."""
    return Grant(
        grant_id=id_of(Origin(recurring.number, place, rolled_over=False)),
        credits=credits,
        remaining=credits,
        held=0,
        consumed=0,
        expired=0,
        voided=0,
        priority=recurring.priority,
        created_us=created_us,
        expires_us=expires_us,
        note=recurring.note,
    )


def begun(recurring: RecurringGrant, left: int) -> tuple[RecurringGrant, Grants]:
    """Begin the next period: return what is to come after it, and the grants that it brings.

    `left` is what remained of the period before; as much of it as may roll over is granted once more, to be
    consumed first.
    """
    following = recurring.calendar.after(recurring.next_nth)
    regular = regular_grant(
        recurring,
        place=recurring.granted,
        credits=recurring.credits,
        # That of the first period may lie before the recurring grant was made.
        created_us=max(recurring.next_us, recurring.created_us),
        expires_us=following.at_us,
    )
    after = recurring._replace(
        granted=recurring.granted + 1,
        next_nth=following.nth,
        next_us=following.at_us if following.at_us < recurring.end_us else NEVER_US,
    )
    rolled = min(left, recurring.rollover_max)
    if not rolled:
        return after, (regular,)
    rolled_id = id_of(Origin(recurring.number, recurring.granted, rolled_over=True))
    return after, (
        regular,
        regular._replace(grant_id=rolled_id, credits=rolled, remaining=rolled),
    )
