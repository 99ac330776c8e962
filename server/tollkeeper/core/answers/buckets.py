"""Cuts the period of an overview into the hours, days or months of a time zone, and bounds how much one may show.

Instants are microseconds since 1970 (UTC). Counters are kept by the quarter of an hour, and every zone's hours, days
and months begin at one, so nothing is counted in a neighbour's bucket (rules 8.3).
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.calendar.zones import day_of, first_instant, hour_of, zone_of
from tollkeeper.core.commands import GetOverview, Granularity
from tollkeeper.core.errors import invalid
from tollkeeper.core.usage import DAY_US, QUARTER_US

if TYPE_CHECKING:
    from collections.abc import Generator
    from zoneinfo import ZoneInfo

    from tollkeeper.core.commands import ListConsumption

BUCKETS_MAX = 10_000
"""The most buckets of one series."""

FIGURES_MAX = 100_000
"""The most buckets of the endpoints' series together."""

DAYS_MAX = 9_900
"""The longest period of a list of consumption: with the rest of its months, what an overview by days can show."""

_ONE_DAY = timedelta(days=1)
_MONTH_US = 31 * DAY_US


class Period(NamedTuple):
    """[start_us, end_us) in whole quarters of an hour, and where each of its buckets begins, in order."""

    start_us: int
    end_us: int
    starts_us: tuple[int, ...]

    def bucket_at(self, at_us: int) -> int | None:
        """Return the index of the bucket that an instant is in, or None outside the period."""
        if not self.start_us <= at_us < self.end_us:
            return None
        return bisect_right(self.starts_us, at_us) - 1


def period_of(query: GetOverview, *, now_us: int) -> Period:
    """Return the period that a query asks for, as it is counted. Raises Refused for a bad field."""
    zone = zone_of(query.time_zone)
    try:
        return _period(query, zone, now_us)
    except OverflowError:
        raise invalid("end_time", "is too late for this time_zone") from None


def period_of_consumption(query: ListConsumption, *, now_us: int) -> Period:
    """Return the period as one bucket: that of the page before, or that of an overview by days.

    Raises Refused for a bad field.
    """
    if query.after is not None:
        return Period(query.after.start_us, query.after.end_us, (query.after.start_us,))
    start_us, end_us = query.start_us, query.end_us
    earliest_us = now_us - _MONTH_US if start_us is None else start_us
    latest_us = now_us + _MONTH_US if end_us is None else end_us
    if latest_us - earliest_us > DAYS_MAX * DAY_US:
        raise invalid("start_time", f"the period must not be longer than {DAYS_MAX:,} days")
    overview = GetOverview("", start_us, end_us, time_zone=query.time_zone)
    period = period_of(overview, now_us=now_us)
    return period._replace(starts_us=period.starts_us[:1])


def check_figures(figures: int) -> None:
    """Raise Refused where the endpoints' series together have more buckets than an answer may have."""
    if figures > FIGURES_MAX:
        raise invalid(
            "granularity",
            f"gives more than {FIGURES_MAX:,} figures by endpoint; ask for wider buckets or a "
            "shorter period",
        )


def _period(query: GetOverview, zone: ZoneInfo, now_us: int) -> Period:
    start_us, end_us = query.start_us, query.end_us
    if start_us is None:
        start_us = first_instant(day_of(now_us, zone).replace(day=1), zone)
    if end_us is None:
        end_us = first_instant(_next_month(day_of(now_us, zone)), zone)
    if start_us >= end_us:
        field = "end_time" if query.end_us is not None else "start_time"
        raise invalid(field, "the period must begin before it ends")

    start_us, _ = hour_of(start_us, zone)
    _, end_us = hour_of(end_us - 1, zone)
    start_us, end_us = _quarter_down(start_us), _quarter_down(end_us + QUARTER_US - 1)
    return Period(start_us, end_us, _starts(start_us, end_us, query.granularity, zone))


def _starts(
    start_us: int, end_us: int, granularity: Granularity, zone: ZoneInfo
) -> tuple[int, ...]:
    """Return where the buckets begin, the first with the period."""
    starts = [start_us]
    for beginning_us in _beginnings_after(start_us, granularity, zone):
        # A zone has moved its clocks one minute after midnight (St John's, until 2011): no bucket is that short.
        at_us = _quarter_down(beginning_us)
        if at_us >= end_us:
            break
        if at_us > starts[-1]:
            starts.append(at_us)
            _check_count(len(starts))
    return tuple(starts)


def _beginnings_after(start_us: int, granularity: Granularity, zone: ZoneInfo) -> Generator[int]:
    """Yield where the hours, days or months after an instant begin, to the end of the calendar."""
    if granularity is Granularity.HOUR:
        return _hours_after(start_us, zone)
    return _days_after(start_us, granularity, zone)


def _hours_after(at_us: int, zone: ZoneInfo) -> Generator[int]:
    try:
        while True:
            _, at_us = hour_of(at_us, zone)
            yield at_us
    except (OverflowError, ValueError):
        return


def _days_after(start_us: int, granularity: Granularity, zone: ZoneInfo) -> Generator[int]:
    day = day_of(start_us, zone)
    try:
        while True:
            day = day + _ONE_DAY if granularity is Granularity.DAY else _next_month(day)
            yield first_instant(day, zone)
    except (OverflowError, ValueError):
        return


def _check_count(buckets: int) -> None:
    if buckets > BUCKETS_MAX:
        raise invalid(
            "granularity",
            f"gives more than {BUCKETS_MAX} buckets; ask for wider ones or a shorter period",
        )


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def _quarter_down(at_us: int) -> int:
    return at_us - at_us % QUARTER_US
