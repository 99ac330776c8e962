"""Windows follow the calendar of a zone, daylight saving included, and cover every instant once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.core.limits import LimitWindow, window_at

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
]


def us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def shown(at_us: int) -> str:
    return (EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    ("window", "zone", "at", "begins", "ends"),
    [
        ("SECOND", "Asia/Kolkata", "2026-05-20T11:22:33", "2026-05-20T11:22:33", "2026-05-20T11:22:34"),
        ("MINUTE", "UTC", "2026-05-20T11:22:33", "2026-05-20T11:22:00", "2026-05-20T11:23:00"),
        ("HOUR", "UTC", "2026-05-20T11:22:33", "2026-05-20T11:00:00", "2026-05-20T12:00:00"),
        ("HOUR", "Europe/Berlin", "2026-05-20T11:22:33", "2026-05-20T11:00:00", "2026-05-20T12:00:00"),
        ("HOUR", "Asia/Kolkata", "2026-05-20T11:22:33", "2026-05-20T10:30:00", "2026-05-20T11:30:00"),
        ("HOUR", "Asia/Kathmandu", "2026-05-20T11:22:33", "2026-05-20T11:15:00", "2026-05-20T12:15:00"),
        ("HOUR", "Pacific/Marquesas", "2026-05-20T11:22:33", "2026-05-20T10:30:00", "2026-05-20T11:30:00"),
        # The clocks go back half an hour at two, and forward half an hour: an hour ends where they are moved.
        ("HOUR", "Australia/Lord_Howe", "2026-04-04T14:59:59", "2026-04-04T14:00:00", "2026-04-04T15:00:00"),
        ("HOUR", "Australia/Lord_Howe", "2026-04-04T15:00:00", "2026-04-04T15:00:00", "2026-04-04T15:30:00"),
        ("HOUR", "Australia/Lord_Howe", "2026-10-03T15:30:00", "2026-10-03T15:30:00", "2026-10-03T16:00:00"),
        # The clocks go forward and back at a quarter to.
        ("HOUR", "Pacific/Chatham", "2026-09-26T13:59:59", "2026-09-26T13:15:00", "2026-09-26T14:00:00"),
        ("HOUR", "Pacific/Chatham", "2026-04-04T14:00:00", "2026-04-04T14:00:00", "2026-04-04T14:15:00"),
        # An hour that comes twice is two.
        ("HOUR", "Europe/Berlin", "2026-10-25T00:59:59", "2026-10-25T00:00:00", "2026-10-25T01:00:00"),
        ("HOUR", "Europe/Berlin", "2026-10-25T01:00:00", "2026-10-25T01:00:00", "2026-10-25T02:00:00"),
        ("DAY", "UTC", "2026-05-20T11:22:33", "2026-05-20T00:00:00", "2026-05-21T00:00:00"),
        ("DAY", "Asia/Kolkata", "2026-05-20T18:29:59", "2026-05-19T18:30:00", "2026-05-20T18:30:00"),
        ("DAY", "Asia/Kolkata", "2026-05-20T18:30:00", "2026-05-20T18:30:00", "2026-05-21T18:30:00"),
        # A day of 23 hours and one of 25.
        ("DAY", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ("DAY", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        # Midnight comes twice in Newfoundland; the day has begun at the first.
        ("DAY", "America/St_Johns", "2010-11-07T02:45:00", "2010-11-07T02:30:00", "2010-11-08T03:30:00"),
        # Samoa had no 30th of December.
        ("DAY", "Pacific/Apia", "2011-12-30T09:00:00", "2011-12-29T10:00:00", "2011-12-30T10:00:00"),
        ("WEEK", "UTC", "2026-11-22T23:59:59", "2026-11-16T00:00:00", "2026-11-23T00:00:00"),
        ("WEEK", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-22T23:00:00", "2026-03-29T22:00:00"),
        ("MONTH", "America/New_York", "2026-03-31T12:00:00", "2026-03-01T05:00:00", "2026-04-01T04:00:00"),
        ("MONTH", "UTC", "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)  # fmt: skip
def test_a_window_is_that_of_the_calendar(
    window: str, zone: str, at: str, begins: str, ends: str
) -> None:
    start_us, end_us = window_at(LimitWindow[window], zone, us(at))

    assert (shown(start_us), shown(end_us)) == (begins, ends)


@given(
    window=st.sampled_from(LimitWindow),
    zone=st.sampled_from(ZONES),
    at_us=st.integers(us("2009-01-01"), us("2030-01-01")),
)
def test_windows_meet_and_every_instant_is_in_one(
    window: LimitWindow, zone: str, at_us: int
) -> None:
    start_us, end_us = window_at(window, zone, at_us)

    assert start_us <= at_us < end_us
    assert window_at(window, zone, start_us) == (start_us, end_us)
    assert window_at(window, zone, end_us - 1) == (start_us, end_us)
    assert window_at(window, zone, end_us)[0] == end_us
    assert window_at(window, zone, start_us - 1)[1] == start_us
