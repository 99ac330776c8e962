"""Time zones: which date an instant has, and when a day or an hour begins.

Instants are microseconds since 1970 (UTC). A time of day that comes twice is the first; one that does not exist is
the moment when the clock has passed it. So a day begins at its first instant, once. An hour begins whenever the clocks
show a full one, and where they are moved.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from tollkeeper.core.errors import invalid

_SECOND_US = 1_000_000
_HOUR_US = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_US = timedelta(microseconds=1)
_ONE_DAY = timedelta(days=1)


def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the IANA database. Raises Refused for a name that it does not have."""
    if name not in _zone_names():
        raise invalid("time_zone", "must be an IANA time zone such as Europe/Berlin")
    return ZoneInfo(name)


def first_instant(day: date, zone: ZoneInfo) -> int:
    """Return when a day begins; a day that a zone has skipped begins with the one after it."""
    return instant_of(datetime.combine(day, time()), zone)


def instant_of(wall: datetime, zone: ZoneInfo) -> int:
    """Return when the clocks of a zone show a time, given without a zone.

    Where that comes twice, the first; where it does not exist, when the clocks have passed it.
    """
    wall_us = (wall.replace(tzinfo=UTC) - _EPOCH) // _ONE_US
    # Where it comes twice, fold 0 is the first; where it does not exist, the offset before.
    before_us = _offset_us(wall.replace(tzinfo=zone))
    after_us = _offset_us(wall.replace(tzinfo=zone, fold=1))
    if after_us <= before_us:
        return wall_us - before_us
    return _when_offset_becomes(after_us, wall_us - after_us, wall_us - before_us, zone)


def day_of(at_us: int, zone: ZoneInfo) -> date:
    """Return the day that an instant is in: the last that has begun.

    That is the date which the clocks show, but where midnight comes twice: then the day has begun at the first.
    """
    day = local_date(at_us, zone)
    return day + _ONE_DAY if first_instant(day + _ONE_DAY, zone) <= at_us else day


def hour_of(at_us: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return where the hour begins and ends that an instant is in, by the clocks of a zone.

    It has 60 minutes, unless the clocks are moved in it: then it ends there. In a zone that is not whole hours from
    UTC, it begins at a quarter or at half past by UTC.
    """
    return _hour_began(at_us, zone), _hour_ends(at_us, zone)


def _hour_began(at_us: int, zone: ZoneInfo) -> int:
    local = local_time(at_us, zone)
    full_us = at_us - _into_hour_us(local)
    if local_time(full_us, zone).utcoffset() == local.utcoffset():
        return full_us
    return _when_offset_becomes(_offset_us(local), full_us, at_us, zone)


def _hour_ends(at_us: int, zone: ZoneInfo) -> int:
    local = local_time(at_us, zone)
    full_us = at_us - _into_hour_us(local) + _HOUR_US
    after = local_time(full_us, zone)
    if after.utcoffset() == local.utcoffset():
        return full_us
    return _when_offset_becomes(_offset_us(after), at_us, full_us, zone)


def _into_hour_us(local: datetime) -> int:
    return (local.minute * 60 + local.second) * _SECOND_US + local.microsecond


def local_date(at_us: int, zone: ZoneInfo) -> date:
    """Return the date of an instant in a zone."""
    return local_time(at_us, zone).date()


def _when_offset_becomes(offset_us: int, low_us: int, high_us: int, zone: ZoneInfo) -> int:
    """Return the first instant in (low, high] with this offset; clocks change on whole seconds."""
    low, high = low_us // _SECOND_US, high_us // _SECOND_US
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_us(local_time(middle * _SECOND_US, zone)) == offset_us:
            high = middle
        else:
            low = middle
    return high * _SECOND_US


def local_time(at_us: int, zone: ZoneInfo) -> datetime:
    """Return what the clocks of a zone show at an instant."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def _offset_us(moment: datetime) -> int:
    return (moment.utcoffset() or timedelta()) // _ONE_US


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    # "localtime" is this machine's own zone, and no name that a caller could mean.
    return frozenset(available_timezones() - {"localtime"})
