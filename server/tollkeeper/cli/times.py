"""Times on the command line: ISO 8601, `now`, or so long from now.

A date alone is the first instant of that day in the zone asked for; a time of day needs a zone of
its own, since without one it may name two instants or none.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.timestamp_pb2 import Timestamp

from tollkeeper.cli.failure import CommandError, Violation, wrong_usage

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_RELATIVE = re.compile(r"([+-])(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
NOW = "now"


def now() -> datetime:
    """Return the time of this machine, which is near enough for what a person asks."""
    return datetime.now(UTC)


def parse_zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong(
            "--zone", f"{name} is not a time zone; use an IANA name such as Europe/Berlin"
        ) from None


def parse_time(option: str, text: str, *, zone: ZoneInfo, now: datetime) -> datetime:
    """Read the TIME given to an option."""
    if text == NOW:
        return now
    try:
        if (relative := _RELATIVE.fullmatch(text)) is not None:
            sign, number, unit = relative.groups()
            step = timedelta(**{_UNITS[unit]: int(number)})
            return now + step if sign == "+" else now - step
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), zone).astimezone(UTC)
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong(
            option,
            f"{text} is not a time; use a date (2026-12-31), a time with its zone "
            "(2026-12-31T12:00:00+01:00), now, or so long from now (+30d, -12h, +15m)",
        ) from None
    raise _wrong(option, f"{text} has no zone; append Z for UTC, or an offset such as +01:00")


def _wrong(option: str, why: str) -> CommandError:
    return wrong_usage(f"{option}: {why}", Violation(option, why))


def parse_effective(text: str, zone: str) -> Timestamp | None:
    """Read from when on something is to hold; None for now, which the server's clock tells and not ours."""
    if text == NOW:
        return None
    return to_timestamp(parse_time("--effective", text, zone=parse_zone(zone), now=now()))


def to_timestamp(moment: datetime) -> Timestamp:
    """Return a time as the protos carry it."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def from_timestamp(stamp: Timestamp, zone: ZoneInfo | None = None) -> datetime:
    """Return a time of the protos in a zone, UTC where none is asked for, or where the zone's calendar has ended."""
    try:
        return stamp.ToDatetime(zone or UTC)
    except OverflowError:
        return stamp.ToDatetime(UTC)


def span(duration: timedelta) -> str:
    """Write how long to wait, for a person: never less than it is, and no finer than a person can use."""
    if duration < timedelta(minutes=1):
        return f"{-(-duration // timedelta(milliseconds=1)) / 1_000:g} s"
    return str(timedelta(seconds=-(-duration // timedelta(seconds=1))))
