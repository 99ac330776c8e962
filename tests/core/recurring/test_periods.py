"""Periods of recurring grants follow the calendar of a zone, do not drift, and cover every instant once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model.recurring import Recurring, first
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.recurring.periods import RecurringCalendar, RecurringPeriod

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
]
LEAP_YEARS = ["2029-02-28T08:00", "2030-02-28T08:00", "2031-02-28T08:00", "2032-02-29T08:00"]


def us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def shown(at_us: int) -> str:
    return (EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("period", "zone", "anchor", "begins"),
    [
        ("DAY", "UTC", "2026-05-20T11:22", ["2026-05-20T11:22", "2026-05-21T11:22", "2026-05-22T11:22"]),
        # Half past two: a night without it (it has passed at three), and a night that has it twice (the first).
        ("DAY", "Europe/Berlin", "2026-03-28T01:30", ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]),
        ("DAY", "Europe/Berlin", "2026-10-24T00:30", ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]),
        # An anchor in the second of two hours that are shown alike is kept; the next day has only one.
        ("DAY", "Europe/Berlin", "2026-10-25T01:30", ["2026-10-25T01:30", "2026-10-26T01:30"]),
        # Nine in the morning is nine in the morning, on both sides of a change.
        ("WEEK", "America/New_York", "2026-03-02T14:00", ["2026-03-02T14:00", "2026-03-09T13:00", "2026-03-16T13:00"]),
        ("WEEK", "America/New_York", "2026-10-26T13:00", ["2026-10-26T13:00", "2026-11-02T14:00"]),
        # A quarter to six ahead of UTC.
        ("DAY", "Asia/Kathmandu", "2026-05-19T18:15", ["2026-05-19T18:15", "2026-05-20T18:15"]),
        ("MONTH", "Asia/Kathmandu", "2026-01-30T18:15", ["2026-01-30T18:15", "2026-02-27T18:15", "2026-03-30T18:15"]),
        # The 31st: the last day of a shorter month, and then the 31st again.
        ("MONTH", "UTC", "2028-01-31T00:00", ["2028-01-31T00:00", "2028-02-29T00:00", "2028-03-31T00:00"]),
        ("MONTH", "UTC", "2026-01-30T12:00", ["2026-01-30T12:00", "2026-02-28T12:00", "2026-03-30T12:00"]),
        ("MONTH", "Europe/Berlin", "2026-02-28T23:00", ["2026-02-28T23:00", "2026-03-31T22:00", "2026-04-30T22:00"]),
        # A leap day comes back after four years.
        ("YEAR", "UTC", "2028-02-29T08:00", ["2028-02-29T08:00", *LEAP_YEARS]),
        # Samoa had no 30th of December 2011: days go on from the 29th to the 31st, a month begins on the 31st.
        ("DAY", "Pacific/Apia", "2011-12-28T20:00", ["2011-12-28T20:00", "2011-12-29T20:00", "2011-12-30T20:00"]),
        ("DAY", "Pacific/Apia", "2011-12-28T10:00", ["2011-12-28T10:00", "2011-12-29T10:00", "2011-12-30T10:00"]),
        ("WEEK", "Pacific/Apia", "2011-12-23T20:00", ["2011-12-23T20:00", "2011-12-30T10:00", "2012-01-05T20:00"]),
        ("MONTH", "Pacific/Apia", "2011-11-30T20:00", ["2011-11-30T20:00", "2011-12-30T10:00", "2012-01-29T20:00"]),
    ],
)  # fmt: skip
def test_a_period_begins_when_the_clocks_show_the_anchors_time(
    period: str, zone: str, anchor: str, begins: list[str]
) -> None:
    calendar = RecurringCalendar(RecurringPeriod[period], us(anchor), zone)

    found = [calendar.beginning(0)]
    while len(found) < len(begins):
        found.append(calendar.after(found[-1].nth))

    assert [shown(each.at_us) for each in found] == begins


def test_a_skipped_day_is_in_the_period_before_it() -> None:
    """It would last from midnight to ten, and bring a day's credits for it."""
    calendar = RecurringCalendar(RecurringPeriod.DAY, us("2011-12-28T20:00"), "Pacific/Apia")

    assert shown(calendar.containing(us("2011-12-30T12:00")).at_us) == "2011-12-29T20:00"


def test_no_period_begins_after_the_year_9999() -> None:
    calendar = RecurringCalendar(RecurringPeriod.YEAR, us("9998-05-05T00:00"), "Asia/Kathmandu")
    later = RecurringCalendar(RecurringPeriod.DAY, us("9999-12-31T23:59"), "Asia/Kathmandu")

    assert shown(calendar.after(0).at_us) == "9999-05-05T00:00"
    assert calendar.after(1).at_us == NEVER_US
    assert later.beginning(0).at_us == NEVER_US


@given(
    period=st.sampled_from(RecurringPeriod),
    zone=st.sampled_from(ZONES),
    anchor_us=st.integers(us("2000-01-01"), us("2030-01-01")),
    later_us=st.integers(0, us("1978-01-01")),
)
def test_periods_meet_and_every_instant_from_the_anchor_on_is_in_one(
    period: RecurringPeriod, zone: str, anchor_us: int, later_us: int
) -> None:
    calendar = RecurringCalendar(period, anchor_us, zone)
    at_us = anchor_us + later_us

    found = calendar.containing(at_us)
    after = calendar.after(found.nth)

    assert anchor_us <= found.at_us <= at_us < after.at_us
    assert calendar.containing(found.at_us) == found
    assert calendar.containing(after.at_us - 1) == found
    assert calendar.containing(after.at_us) == after


@given(
    period=st.sampled_from(RecurringPeriod),
    zone=st.sampled_from(ZONES),
    anchor_us=st.integers(us("2009-01-01"), us("2030-01-01")),
    later_us=st.integers(0, us("1970-03-01")),
)
def test_periods_are_those_that_one_finds_by_watching_the_clocks(
    period: RecurringPeriod, zone: str, anchor_us: int, later_us: int
) -> None:
    calendar = RecurringCalendar(period, anchor_us, zone)
    watched = first(
        Recurring(1, 1, period.name, anchor_us, zone, 0, 0, "", None, 0, anchor_us),
        anchor_us + later_us,
    )

    found = calendar.containing(anchor_us + later_us)

    assert (found.nth, found.at_us) == (watched.periods, watched.next_us)
