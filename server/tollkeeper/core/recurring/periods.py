"""When the periods of a recurring grant begin.

The n-th begins at the anchor's local time n periods on, always counted from the anchor, so that nothing drifts: a
month without that day begins its period on its last day, and the next one is back on the day itself.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from enum import IntEnum, unique
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.calendar.zones import (
    first_instant,
    instant_of,
    local_date,
    local_time,
    zone_of,
)
from tollkeeper.core.grants import NEVER_US

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_ONE_DAY = timedelta(days=1)
_MONTHS_A_YEAR = 12


@unique
class RecurringPeriod(IntEnum):
    """How often a recurring grant gives; the numbers are the proto's."""

    DAY = 1
    WEEK = 2
    MONTH = 3
    YEAR = 4


class Beginning(NamedTuple):
    """Where a period begins: its number, counted from the anchor, and the instant, NEVER_US past the calendar's end."""

    nth: int
    at_us: int


class RecurringCalendar(NamedTuple):
    """The periods of one recurring grant; each ends where the next one begins."""

    period: RecurringPeriod
    anchor_us: int
    time_zone: str

    def beginning(self, nth: int) -> Beginning:
        """Return where a period begins; where the zone skipped its day, the one after it."""
        zone = zone_of(self.time_zone)
        try:
            anchor = local_time(self.anchor_us, zone).replace(tzinfo=None, fold=0)
            while True:
                wall = self._wall(anchor, nth)
                at_us = instant_of(wall, zone)
                if self.period is RecurringPeriod.DAY and _is_skipped(wall, at_us, zone):
                    nth += 1
                    continue
                # The anchor itself may be the second of two times that are shown alike.
                return Beginning(nth, self.anchor_us if nth == 0 else at_us)
        except (OverflowError, ValueError):
            return Beginning(nth, NEVER_US)

    def after(self, nth: int) -> Beginning:
        """Return where the period after this one begins."""
        return self.beginning(nth + 1)

    def containing(self, at_us: int) -> Beginning:
        """Return where the period that contains an instant begins; the first one where that is still to come."""
        beginning = self.beginning(max(0, self._estimate(at_us) - 2))
        while (following := self.after(beginning.nth)).at_us <= at_us:
            beginning = following
        return beginning

    def _estimate(self, at_us: int) -> int:
        """Return about which period contains an instant: at most one too high, or two past a day that was skipped."""
        zone = zone_of(self.time_zone)
        anchor, now = local_date(self.anchor_us, zone), local_date(at_us, zone)
        if self.period is RecurringPeriod.DAY:
            return (now - anchor).days
        if self.period is RecurringPeriod.WEEK:
            return (now - anchor).days // 7
        months = (now.year - anchor.year) * _MONTHS_A_YEAR + now.month - anchor.month
        return months if self.period is RecurringPeriod.MONTH else months // _MONTHS_A_YEAR

    def _wall(self, anchor: datetime, nth: int) -> datetime:
        """Return what the clocks show, or would, when a period begins."""
        if self.period is RecurringPeriod.DAY:
            return anchor + nth * _ONE_DAY
        if self.period is RecurringPeriod.WEEK:
            return anchor + nth * 7 * _ONE_DAY
        months = nth if self.period is RecurringPeriod.MONTH else nth * _MONTHS_A_YEAR
        years, month = divmod(anchor.month - 1 + months, _MONTHS_A_YEAR)
        year = anchor.year + years
        day = min(anchor.day, monthrange(year, month + 1)[1])
        return anchor.replace(year=year, month=month + 1, day=day)


def _is_skipped(wall: datetime, at_us: int, zone: ZoneInfo) -> bool:
    """Say whether a zone left out the whole day (Samoa, 30 December 2011)."""
    day = wall.date()
    if local_date(at_us, zone) == day:
        return False
    return first_instant(day, zone) == first_instant(day + _ONE_DAY, zone)
