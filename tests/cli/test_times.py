"""Times on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tollkeeper.cli.failure import CommandError, ExitCode
from tollkeeper.cli.times import from_timestamp, parse_time, parse_zone, to_timestamp

NOW = datetime(2027, 3, 28, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("+1d", NOW + timedelta(days=1)),
        ("-12h", NOW - timedelta(hours=12)),
        ("+15m", NOW + timedelta(minutes=15)),
        ("+10s", NOW + timedelta(seconds=10)),
        ("-2w", NOW - timedelta(weeks=2)),
        ("2027-01-01", datetime(2026, 12, 31, 23, 0, tzinfo=UTC)),
        ("2027-07-01", datetime(2027, 6, 30, 22, 0, tzinfo=UTC)),
        ("2027-01-01T00:00:00Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T00:00+05:30", datetime(2026, 12, 31, 18, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_read(text: str, expected: datetime) -> None:
    assert parse_time("--from", text, zone=BERLIN, now=NOW) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("soon", "--from: soon is not a time; use a date (2026-12-31)"),
        ("2027-02-30", "is not a time"),
        ("+1y", "is not a time"),
        ("-999999w", "is not a time"),
        ("0001-01-01T00:00:00+14:00", "is not a time"),
        ("9999-12-31T23:00:00-02:00", "is not a time"),
        ("2027-01-01T12:00", "has no zone; append Z for UTC"),
    ],
)
def test_what_is_not_a_time_is_wrong_usage(text: str, message: str) -> None:
    with pytest.raises(CommandError) as failed:
        parse_time("--from", text, zone=BERLIN, now=NOW)

    assert message in failed.value.message
    assert failed.value.code is ExitCode.USAGE


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc/passwd", "Europe"])
def test_what_is_not_a_zone_is_wrong_usage(name: str) -> None:
    with pytest.raises(CommandError) as failed:
        parse_zone(name)

    assert "use an IANA name such as Europe/Berlin" in failed.value.message


def test_a_time_goes_through_a_proto_unchanged() -> None:
    moment = NOW + timedelta(microseconds=123_456)

    assert from_timestamp(to_timestamp(moment), BERLIN) == moment
