"""Recurring grants of the reference model: when their periods begin, and how far each has come.

A beginning is found by watching the clocks of the zone: the first moment at which they show the time, or have
passed it.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]

MOST = 20
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - clocks of any zone are compared without it
QUARTER_US = 15 * 60 * 10**6
ONE_DAY = timedelta(days=1)
TO_COME = 10**30
BELOW_ALL_IDS = -(10**15)


def shown(at_us: int, time_zone: str) -> datetime:
    """Show what the clocks of a zone say."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return moment.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)


@lru_cache(maxsize=100_000)
def first_moment(wall: datetime, time_zone: str) -> int:
    """Find when the clocks first show a time, or have passed it: no zone changes them but on a quarter."""
    low = (wall - EPOCH) // timedelta(microseconds=1) - 27 * 3600 * 10**6
    low -= low % QUARTER_US
    while shown(low + QUARTER_US, time_zone) < wall:
        low += QUARTER_US
    high = low + QUARTER_US
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle, time_zone) >= wall else (middle, high)
    return high


def is_skipped(day: date, time_zone: str) -> bool:
    """Whether a zone left the whole day out."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - likewise
    return first_moment(midnight, time_zone) == first_moment(midnight + ONE_DAY, time_zone)


def wall_of(period: str, anchor: datetime, periods: int) -> datetime:
    """Say what the clocks show so many periods after the anchor."""
    if period in {"DAY", "WEEK"}:
        return anchor + periods * (ONE_DAY if period == "DAY" else 7 * ONE_DAY)
    months = anchor.year * 12 + anchor.month - 1 + periods * (1 if period == "MONTH" else 12)
    year, month = months // 12, months % 12 + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))


@dataclass
class Recurring:
    """A recurring grant; `begins` are the beginnings of the periods that have been granted."""

    number: int
    credits: int
    period: str
    anchor_us: int
    time_zone: str
    rollover_max: int
    priority: int
    note: str
    end_us: int | None
    create_us: int
    next_us: int
    periods: int = 0  # from the anchor to the next one
    granted: int = 0

    def begins(self, periods: int) -> int | None:
        """Find when the period begins that is so many after the anchor; None where there is no such day."""
        if periods == 0:
            return self.anchor_us
        wall = wall_of(self.period, shown(self.anchor_us, self.time_zone), periods)
        if self.period == "DAY" and is_skipped(wall.date(), self.time_zone):
            return None
        return first_moment(wall, self.time_zone)

    def step(self) -> None:
        """Go on to the period after the next."""
        self.periods += 1
        while (at_us := self.begins(self.periods)) is None:
            self.periods += 1
        self.next_us = at_us

    def to_come(self) -> int:
        """Say when the next period begins; never, where that would be at its end or later."""
        over = self.end_us is not None and self.next_us >= self.end_us
        return TO_COME if over else self.next_us

    def has_ended(self, now_us: int) -> bool:
        """Whether its end has come."""
        return self.end_us is not None and self.end_us <= now_us

    def own_id(self, *, rolled_over: bool) -> int:
        """Name the grant of the next period: below every other id, in the order in which they are consumed."""
        return BELOW_ALL_IDS + self.number * 10**8 + self.granted * 10 + (not rolled_over)

    def latest_id(self) -> int:
        """Name the grant of the latest period."""
        return BELOW_ALL_IDS + self.number * 10**8 + (self.granted - 1) * 10 + 1

    def row(self) -> Row:
        """Show it."""
        next_us = self.to_come()
        left_out = {"periods", "granted"}
        row = {name: value for name, value in vars(self).items() if name not in left_out}
        return row | {"next_us": None if next_us == TO_COME else next_us}


def first(recurring: Recurring, now_us: int) -> Recurring:
    """Put a new one before the period that contains now, or before its first."""
    while True:
        before = recurring.periods, recurring.next_us
        recurring.step()
        if recurring.next_us > now_us:
            recurring.periods, recurring.next_us = before
            return recurring
