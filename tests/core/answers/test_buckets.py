"""Periods and their buckets follow a zone's calendar exactly, and leave no quarter of an hour out."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.thorough import thorough
from tollkeeper.core.answers.buckets import BUCKETS_MAX, Period, period_of
from tollkeeper.core.calendar.zones import first_instant, zone_of
from tollkeeper.core.commands import GetOverview, Granularity
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.usage import HOUR_US, QUARTER_US

HOUR, DAY, MONTH = Granularity.HOUR, Granularity.DAY, Granularity.MONTH
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]
NOW = "2026-05-20T11:22:33"


def us(text: str) -> int:
    """Return the microseconds of a moment in UTC."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000


def period(
    start: str | None = None,
    end: str | None = None,
    by: Granularity = DAY,
    zone: str = "UTC",
    now: str = NOW,
) -> Period:
    start_us, end_us = (us(text) if text else None for text in (start, end))
    query = GetOverview("acme", start_us, end_us, by, zone)
    return period_of(query, now_us=us(now))


def told(period: Period) -> list[str]:
    """Return the bucket beginnings and the end, for a person."""
    return [shown(at_us) for at_us in (*period.starts_us, period.end_us)]


def shown(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M")


def hours(period: Period) -> list[float]:
    """Return how long each bucket is."""
    return [(b - a) / HOUR_US for a, b in pairwise((*period.starts_us, period.end_us))]


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("UTC", "2026-01-01", "2026-01-01T00:00"),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00"),
        ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00"),
        ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00"),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00"),
        ("America/New_York", "2026-03-09", "2026-03-09T04:00"),
        ("Asia/Kolkata", "2026-06-01", "2026-05-31T18:30"),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00"),
        ("Australia/Lord_Howe", "2026-04-06", "2026-04-05T13:30"),
        ("Pacific/Chatham", "2026-01-01", "2025-12-31T10:15"),
        ("Pacific/Chatham", "2026-06-01", "2026-05-31T11:15"),
        # Midnight does not exist: the day begins at one o'clock, which is when the clock changes.
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00"),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00"),
        # Midnight comes twice, or its eve does: a day begins once, at the first instant.
        ("Africa/Cairo", "2026-10-30", "2026-10-29T22:00"),
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30"),
        # A day that was skipped begins, empty, with the next.
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00"),
    ],
)
def test_a_day_begins_at_its_first_instant(zone: str, day: str, begins: str) -> None:
    assert shown(first_instant(date.fromisoformat(day), zone_of(zone))) == begins


def test_a_day_begins_after_a_gap_that_midnight_is_in_the_middle_of() -> None:
    # From 23:30 on the 30th of March 1919 straight to 0:30 on the 31st.
    begins = first_instant(date(1919, 3, 31), zone_of("America/Toronto"))

    assert begins == us("1919-03-31T04:30")


@pytest.mark.parametrize(
    ("start", "end", "zone", "lengths"),
    [
        ("2026-03-27T23:00", "2026-03-30T22:00", "Europe/Berlin", [24, 23, 24]),
        ("2026-10-23T22:00", "2026-10-26T23:00", "Europe/Berlin", [24, 25, 24]),
        ("2026-03-07T05:00", "2026-03-10T04:00", "America/New_York", [24, 23, 24]),
        ("2026-10-31T04:00", "2026-11-03T05:00", "America/New_York", [24, 25, 24]),
        ("2026-05-30T18:30", "2026-06-01T18:30", "Asia/Kolkata", [24, 24]),
        ("2026-04-03T13:00", "2026-04-06T13:30", "Australia/Lord_Howe", [24, 24.5, 24]),
        ("2026-10-02T13:30", "2026-10-05T13:00", "Australia/Lord_Howe", [24, 23.5, 24]),
        ("2026-09-04T04:00", "2026-09-08T03:00", "America/Santiago", [24, 24, 23, 24]),
        ("2026-04-22T22:00", "2026-04-25T21:00", "Africa/Cairo", [24, 23, 24]),
        ("2011-12-28T10:00", "2012-01-01T10:00", "Pacific/Apia", [24, 24, 24, 24]),
    ],
)
def test_a_bucket_of_a_day_is_as_long_as_the_day(
    start: str, end: str, zone: str, lengths: list[float]
) -> None:
    assert hours(period(start, end, DAY, zone)) == lengths


def test_a_skipped_day_has_no_bucket() -> None:
    found = told(period("2011-12-28T10:00", "2012-01-01T10:00", DAY, "Pacific/Apia"))

    assert found == [
        "2011-12-28T10:00",
        "2011-12-29T10:00",  # the 29th; the 30th was not
        "2011-12-30T10:00",  # the 31st
        "2011-12-31T10:00",
        "2012-01-01T10:00",
    ]


@pytest.mark.parametrize(
    ("year", "days"),
    [
        (2026, [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]),
        (2028, [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]),
    ],
)
def test_a_bucket_of_a_month_is_as_long_as_the_month(year: int, days: list[int]) -> None:
    found = period(f"{year}-01-01T00:00", f"{year + 1}-01-01T00:00", MONTH)

    assert hours(found) == [24 * each for each in days]


def test_months_of_a_zone_begin_at_its_midnight() -> None:
    found = told(period("2026-02-28T23:00", "2026-04-30T22:00", MONTH, "Europe/Berlin"))

    assert found == ["2026-02-28T23:00", "2026-03-31T22:00", "2026-04-30T22:00"]


@pytest.mark.parametrize(
    ("zone", "minute"),
    [
        ("Asia/Kolkata", 30),
        ("Asia/Kathmandu", 15),
        ("Asia/Kabul", 30),
        ("America/St_Johns", 30),
        ("Australia/Eucla", 15),
        ("Pacific/Chatham", 15),
        ("Pacific/Marquesas", 30),
    ],
)
def test_hours_are_those_of_the_zone(zone: str, minute: int) -> None:
    found = told(period("2026-05-01T18:30", "2026-05-01T20:30", HOUR, zone))

    hours = range(18, 21 if minute == 30 else 22)
    assert found == [f"2026-05-01T{hour}:{minute}" for hour in hours]


@thorough
def test_no_zone_has_begun_a_day_or_an_hour_at_other_than_a_quarter_since_the_first_time_that_can_be_asked() -> (
    None
):
    # But St John's, whose clocks were moved at one minute past midnight until 2011.
    for name in available_timezones() - {"localtime", "Factory"}:
        zone = zone_of(name)
        moment = datetime(2000, 1, 1, tzinfo=UTC)
        while moment < datetime(2037, 1, 1, tzinfo=UTC):
            offset = moment.astimezone(zone).utcoffset()
            assert offset is not None
            assert offset % timedelta(minutes=15) == timedelta(), (name, moment)
            moment += timedelta(days=20)


def test_an_hour_that_comes_twice_has_two_buckets() -> None:
    found = period("2026-10-24T22:00", "2026-10-25T23:00", HOUR, "Europe/Berlin")

    assert hours(found) == [1] * 25


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("UTC", "2026-05-01T00:00", "2026-06-01T00:00"),
        ("Europe/Berlin", "2026-04-30T22:00", "2026-05-31T22:00"),
        ("Asia/Kolkata", "2026-04-30T18:30", "2026-05-31T18:30"),
        ("Asia/Kathmandu", "2026-04-30T18:15", "2026-05-31T18:15"),
        ("Pacific/Chatham", "2026-04-30T11:15", "2026-05-31T11:15"),
        ("Pacific/Kiritimati", "2026-04-30T10:00", "2026-05-31T10:00"),
    ],
)
def test_the_default_is_the_month_of_the_zone_that_contains_now(
    zone: str, start: str, end: str
) -> None:
    found = period(zone=zone)

    assert (shown(found.start_us), shown(found.end_us)) == (start, end)


def test_the_month_that_contains_now_is_the_zones() -> None:
    found = period(zone="Pacific/Kiritimati", now="2026-05-31T10:00")

    assert shown(found.start_us) == "2026-05-31T10:00"


def test_each_end_of_the_period_has_its_own_default() -> None:
    assert told(period(start="2026-05-30T00:00"))[0] == "2026-05-30T00:00"
    assert told(period(start="2026-05-30T00:00"))[-1] == "2026-06-01T00:00"
    assert told(period(end="2026-05-03T00:00"))[0] == "2026-05-01T00:00"


@pytest.mark.parametrize(
    ("start", "end", "by", "zone", "counted"),
    [
        ("2026-05-01T10:15", "2026-05-01T11:15", DAY, "UTC", ["10:00", "12:00"]),
        ("2026-05-01T10:00", "2026-05-01T11:00", DAY, "UTC", ["10:00", "11:00"]),
        ("2026-05-01T10:00", "2026-05-01T18:30", DAY, "Asia/Kolkata", ["09:30", "18:30"]),
        ("2026-05-01T10:30", "2026-05-01T17:31", DAY, "Asia/Kolkata", ["10:30", "18:30"]),
        ("2026-05-01T16:00", "2026-05-01T17:30", HOUR, "Asia/Kolkata", ["15:30", "17:30"]),
        ("2026-05-01T16:30", "2026-05-01T18:20", MONTH, "Asia/Kathmandu", ["16:15", "19:15"]),
    ],
)
def test_a_period_is_widened_to_whole_hours_of_the_zone(
    start: str, end: str, by: Granularity, zone: str, counted: list[str]
) -> None:
    found = period(start, end, by, zone)

    assert [shown(found.start_us)[-5:], shown(found.end_us)[-5:]] == counted


def test_the_first_bucket_begins_with_the_period() -> None:
    found = told(period("2026-05-01T10:00", "2026-05-02T12:00"))

    assert found == ["2026-05-01T10:00", "2026-05-02T00:00", "2026-05-02T12:00"]


def test_an_instant_is_in_the_bucket_that_began_last() -> None:
    found = period("2026-05-01T10:00", "2026-05-03T12:00")
    moments = ["2026-05-01T09:59", "2026-05-01T10:00", "2026-05-02T23:59", "2026-05-03T12:00"]

    assert [found.bucket_at(us(moment)) for moment in moments] == [None, 0, 1, None]


@given(
    start_h=st.integers(263_000, 700_000),
    length_h=st.integers(1, 5_000),
    by=st.sampled_from([HOUR, DAY, MONTH]),
    zone=st.sampled_from(ZONES),
    minutes=st.tuples(st.sampled_from([0, 15, 30, 59]), st.sampled_from([0, 15, 30, 59])),
)
@example(start_h=367_962, length_h=100, by=DAY, zone="Pacific/Apia", minutes=(0, 0))
def test_buckets_tile_the_period(
    start_h: int, length_h: int, by: Granularity, zone: str, minutes: tuple[int, int]
) -> None:
    start_us = start_h * HOUR_US + minutes[0] * 60_000_000
    end_us = (start_h + length_h) * HOUR_US + minutes[1] * 60_000_000
    end_us = max(end_us, start_us + HOUR_US)

    found = period_of(GetOverview("acme", start_us, end_us, by, zone), now_us=0)

    assert found.start_us == found.starts_us[0]
    assert all(length > 0 for length in hours(found))
    assert sum(hours(found)) * HOUR_US == found.end_us - found.start_us
    assert not any(at_us % QUARTER_US for at_us in (*found.starts_us, found.end_us))
    assert 0 <= start_us - found.start_us < HOUR_US
    assert 0 <= found.end_us - end_us < HOUR_US


@given(
    by=st.sampled_from([HOUR, DAY]),
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2000, 1, 2), date(2050, 1, 1)),
)
def test_neighbouring_periods_of_whole_days_share_no_hour(
    by: Granularity, zone: str, day: date
) -> None:
    middle_us = first_instant(day, zone_of(zone))
    before = GetOverview("acme", middle_us - 48 * HOUR_US, middle_us, by, zone)
    after = GetOverview("acme", middle_us, middle_us + 48 * HOUR_US, by, zone)

    assert period_of(before, now_us=0).end_us == period_of(after, now_us=0).start_us


@pytest.mark.parametrize(
    "name", ["", "Europe", "Berlin", "europe/berlin", "../etc/passwd", "/UTC", "localtime", "UTC\0"]
)
def test_a_zone_that_is_not_in_the_iana_database_is_a_bad_field(name: str) -> None:
    with pytest.raises(Refused) as refused:
        period(zone=name)

    assert bad_field(refused.value) == "time_zone"


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2026-05-02T00:00", "2026-05-02T00:00", "end_time"),
        ("2026-05-02T00:00", "2026-05-01T00:00", "end_time"),
        ("2026-06-01T00:00", None, "start_time"),
        ("9999-12-01T00:00", "9999-12-31T23:30", "end_time"),  # the year 10000 in Kiritimati
    ],
)
def test_a_period_that_cannot_be_is_a_bad_field(start: str, end: str | None, field: str) -> None:
    with pytest.raises(Refused) as refused:
        period(start, end, zone="Pacific/Kiritimati" if start[0] == "9" else "UTC")

    assert bad_field(refused.value) == field


@pytest.mark.parametrize(
    ("by", "end"),
    [
        (HOUR, "2001-02-20T16:00"),
        (DAY, "2027-05-19T00:00"),
        (MONTH, "2833-05-01T00:00"),
    ],
)
def test_a_series_has_at_most_ten_thousand_buckets(by: Granularity, end: str) -> None:
    longest = period("2000-01-01T00:00", end, by)

    assert len(longest.starts_us) == BUCKETS_MAX
    with pytest.raises(Refused) as refused:
        period_of(GetOverview("acme", longest.start_us, longest.end_us + 1, by), now_us=0)
    assert bad_field(refused.value) == "granularity"


def test_the_last_month_of_the_calendar_can_be_asked_for() -> None:
    found = period("9999-12-01T00:00", "9999-12-31T00:00", DAY)

    assert len(found.starts_us) == 30


def bad_field(refused: Refused) -> str:
    assert refused.reason is Reason.INVALID_FIELD
    return refused.fields[0].field
