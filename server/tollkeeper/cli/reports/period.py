"""The options that say which period is asked for, as `overview` and its like have them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple
from zoneinfo import ZoneInfo

import typer

from tollkeeper.cli import times

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Where the period begins: a date, a time with its zone, now, or -7d.",
        show_default="the first of this month",
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="TIME",
        help="Where the period ends; a date is not part of it.",
        show_default="now; without --from, the first of the next month",
    ),
]


class By(StrEnum):
    """The width of a bucket."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Period(NamedTuple):
    """A period as the protos carry it; None for a bound that is left to the ledger."""

    start: Timestamp | None
    end: Timestamp | None
    zone: ZoneInfo


def parse_period(start: str | None, end: str | None, zone: str) -> Period:
    """Read the bounds of a period; with a beginning and no end it ends now."""
    zone_info, now = times.parse_zone(zone), times.now()
    if start is not None and end is None:
        end = times.NOW

    def stamp(option: str, text: str | None) -> Timestamp | None:
        if text is None:
            return None
        return times.to_timestamp(times.parse_time(option, text, zone=zone_info, now=now))

    return Period(stamp("--from", start), stamp("--to", end), zone_info)
