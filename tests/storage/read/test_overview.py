"""The overview adds up, in every zone and by every width, and costs what it shows and no more."""

import random
from dataclasses import astuple, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from tests.support.builders import (
    DAY_US,
    LEADS,
    NEW_YEAR_US,
    SECOND_US,
    TRACK,
    LedgerBuilder,
    busy_ledger,
    said_by,
    statements_of,
)
from tests.support.thorough import thorough, with_thorough
from tests.support.unlocked import unlock
from tollkeeper.core.answers.buckets import Period, period_of
from tollkeeper.core.answers.views import Overview
from tollkeeper.core.commands import GetOverview, Granularity
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.usage import HOUR_US, QUARTER_US, QUARTERS, UsageKind, UsageTotals
from tollkeeper.storage.read.usage import strips_of
from tollkeeper.storage.reader import SqlReader

HOUR, DAY, MONTH = Granularity.HOUR, Granularity.DAY, Granularity.MONTH
ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"),
    *("Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham"),
]
QUICK = ["Europe/Berlin", "Asia/Kathmandu"]
KINDS = [
    UsageKind.CHARGED,
    UsageKind.EXPIRED,
    UsageKind.REFUNDED,
    UsageKind.RELEASED_CANCELLED,
    UsageKind.RELEASED_BLOCKED,
    UsageKind.DENIED_INSUFFICIENT_CREDITS,
    UsageKind.DENIED_ACCOUNT_BLOCKED,
]


def us(words: str) -> int:
    moment = datetime.fromisoformat(words).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def year(module_engine: Engine) -> tuple[SqlReader, LedgerBuilder]:
    """A year of usage, in a tenth of its hours; a second account has the same once more."""
    chance = random.Random(2026)
    ledger = LedgerBuilder()
    ledger.publish()
    for name in ("acme", "other"):
        key = ledger.accounts[ledger.account(name)].key
        for hour in chance.sample(range(365 * 24), 876):
            for kind in chance.sample(KINDS, 2):
                endpoint_id = chance.choice([1, 2, 3])
                counts = chance.randrange(1, 9), chance.randrange(1, 99)
                at_us = NEW_YEAR_US + hour * HOUR_US + chance.randrange(HOUR_US)
                ledger.count(key, at_us, endpoint_id, kind, *counts)
    with module_engine.begin() as connection:
        ledger.save(connection)
    ledger.now_us = us("2026-10-20T10:11:12")
    return SqlReader(module_engine, clock=lambda: ledger.now_us), ledger


def expected_series(ledger: LedgerBuilder, period: Period) -> list[UsageTotals]:
    """Add up a period quarter by quarter."""
    series = [UsageTotals() for _ in period.starts_us]
    key = ledger.accounts["acme"].key
    for (account_key, at, _, kind), (requests, credits) in ledger.usage.items():
        bucket = period.bucket_at(at * QUARTER_US)
        if account_key == key and bucket is not None:
            series[bucket] = sum_of([series[bucket], usage_of(kind, requests, credits)])
    return series


def usage_of(kind: int, requests: int, credits: int) -> UsageTotals:
    if kind == UsageKind.CHARGED:
        return UsageTotals(requests=requests, credits=credits)
    if kind == UsageKind.EXPIRED:
        return UsageTotals(expired=requests)
    if kind == UsageKind.REFUNDED:
        return UsageTotals(refunded_credits=credits)
    return UsageTotals(**{UsageKind(kind).name.lower(): requests})


def sum_of(usages: list[UsageTotals]) -> UsageTotals:
    return UsageTotals(*map(sum, zip(*usages, strict=True))) if usages else UsageTotals()


@pytest.mark.parametrize("zone", with_thorough(ZONES, quick=QUICK))
@pytest.mark.parametrize(
    ("by", "start", "end"),
    [
        (HOUR, "2026-03-28T05:00", "2026-03-31T17:00"),
        (HOUR, "2026-10-24T00:00", "2026-10-26T00:00"),
        (DAY, "2026-03-01T00:00", "2026-04-01T00:00"),
        (DAY, "2026-01-01T00:00", "2027-01-01T00:00"),
        (DAY, "2026-09-27T13:30", "2026-11-02T07:30"),
        (MONTH, "2026-01-01T00:00", "2027-01-01T00:00"),
        (MONTH, "2026-02-14T03:00", "2026-12-24T18:00"),
        (MONTH, "2025-01-01T00:00", "2028-01-01T00:00"),
        (DAY, "2030-01-01T00:00", "2030-01-05T00:00"),
    ],
)
def test_total_is_the_sum_of_endpoints_and_of_series_in_every_zone(
    year: tuple[SqlReader, LedgerBuilder], zone: str, by: Granularity, start: str, end: str
) -> None:
    reader, ledger = year
    query = GetOverview("acme", us(start), us(end), by, zone)

    seen = reader.overview(query)

    period = period_of(query, now_us=0)
    assert tuple(bucket.start_us for bucket in seen.series) == period.starts_us
    assert (seen.start_us, seen.end_us) == (period.start_us, period.end_us)
    assert [bucket.usage for bucket in seen.series] == expected_series(ledger, period)
    assert seen.total == sum_of([bucket.usage for bucket in seen.series])
    assert seen.total == sum_of([endpoint.usage for endpoint in seen.endpoints])


@pytest.mark.parametrize("zone", with_thorough(ZONES, quick=QUICK))
def test_the_widths_tell_the_same_total(year: tuple[SqlReader, LedgerBuilder], zone: str) -> None:
    reader, _ = year
    hours, days, months = (
        reader.overview(GetOverview("acme", granularity=by, time_zone=zone))
        for by in (HOUR, DAY, MONTH)
    )

    assert hours.total == days.total == months.total
    assert hours.endpoints == days.endpoints == months.endpoints
    assert (hours.start_us, hours.end_us) == (months.start_us, months.end_us)
    assert len(months.series) == 1
    assert months.total.requests > 0


def test_neighbouring_periods_add_up_to_the_whole(year: tuple[SqlReader, LedgerBuilder]) -> None:
    reader, _ = year
    months = [us(f"2026-{month:02}-01T00:00") for month in range(1, 13)]
    bounds = [*months, us("2027-01-01T00:00")]

    parts = [
        reader.overview(GetOverview("acme", start, end)).total for start, end in pairwise(bounds)
    ]

    whole = reader.overview(GetOverview("acme", bounds[0], bounds[-1], MONTH))
    assert sum_of(parts) == whole.total
    assert [bucket.usage for bucket in whole.series] == parts


def test_endpoints_come_with_the_most_credits_first(
    year: tuple[SqlReader, LedgerBuilder],
) -> None:
    found = year[0].overview(GetOverview("acme", NEW_YEAR_US, NEW_YEAR_US + 365 * DAY_US)).endpoints

    credits = [each.usage.credits for each in found]
    names = {(each.method, each.path) for each in found}
    assert credits == sorted(credits, reverse=True)
    assert names == {("*", "/**"), ("GET", "/v1/leads"), ("POST", "/v1/track")}


def test_endpoints_of_equal_credits_are_sorted_by_name(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish(
        TRACK, LEADS, LEADS._replace(path="/v1/a", endpoint_id=4), LEADS._replace(endpoint_id=2)
    )
    key = ledger.accounts[ledger.account("acme")].key
    for endpoint_id in (3, 2, 4):
        ledger.count(key, ledger.now_us, endpoint_id, UsageKind.RELEASED_CANCELLED, 1, 0)

    seen = overview(engine, ledger)

    names = [(each.method, each.path) for each in seen.endpoints]
    assert names == [("GET", "/v1/a"), ("GET", "/v1/leads"), ("POST", "/v1/track")]


def test_the_overview_shows_the_account_as_it_is(engine: Engine) -> None:
    ledger = busy_ledger()
    expected = ledger.accounts["acme"]

    seen = overview(engine, ledger)

    assert seen.account_id == "acme"
    assert seen.as_of_us == ledger.now_us
    assert seen.balance == expected.balance
    assert seen.lifetime_credits == expected.charged == 314
    assert seen.total == UsageTotals(
        requests=6,
        credits=320,
        released_cancelled=1,
        released_server_error=1,
        expired=1,
        denied_insufficient_credits=3,
        refunded_credits=6,
    )
    assert seen.limits == tuple((each.limit, each.at(ledger.now_us)) for each in expected.limits)
    assert len(seen.limits) == 2
    assert seen.grants == tuple(each for each in expected.grants if each.remaining or each.held)
    assert seen.prices is not None
    assert (seen.prices.version, seen.prices.name) == (2, "partner")


def test_an_overdue_hold_is_shown_as_expired_in_the_hour_of_its_deadline(engine: Engine) -> None:
    ledger = LedgerBuilder(now_us=us("2026-05-01T10:59:30"))
    ledger.account("acme", credits=100)
    ledger.hold("acme", TRACK, hold_s=60)
    query = GetOverview("acme", us("2026-05-01T10:00"), us("2026-05-01T13:00"), granularity=HOUR)
    ledger.now_us = us("2026-05-01T12:30:00")

    seen = overview(engine, ledger, query)

    assert [bucket.usage.expired for bucket in seen.series] == [0, 1, 0]
    assert seen.total == UsageTotals(expired=1)
    assert [(each.path, each.usage) for each in seen.endpoints] == [("/v1/track", seen.total)]
    assert seen.balance == Balance(100, 100, 0, 0)


def test_a_sweeper_that_comes_by_changes_nothing_in_the_overview(
    engine: Engine, tmp_path: Any
) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    held = ledger.hold("acme", TRACK)
    ledger.now_us = held.expires_us + 5 * SECOND_US
    unswept = overview(engine, ledger)

    ledger.expire(held)
    with engine.begin() as connection:
        unlock(connection)
        for table in ("account", "credit_grant", "reservation", "hold", "usage_hour", "usage_day"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our own tables
        for table in ("admin_request", "price_list", "price"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - likewise
        connection.execute(text("DELETE FROM endpoint WHERE endpoint_id > 1"))
        ledger.entries = []
        ledger.save(connection)

    swept = SqlReader(engine, clock=lambda: ledger.now_us).overview(GetOverview("acme"))
    assert comparable(swept) == comparable(unswept)


def test_a_hold_that_expired_outside_the_period_is_not_counted_in_it(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    ledger.hold("acme", TRACK)
    ledger.now_us += 40 * DAY_US

    seen = overview(engine, ledger)

    assert seen.total == UsageTotals()
    assert seen.endpoints == ()
    assert seen.balance.held == 0


def test_an_endpoint_whose_expiry_was_taken_back_is_not_shown_for_it(engine: Engine) -> None:
    ledger = LedgerBuilder(now_us=us("2026-05-01T10:30"))
    ledger.account("acme", credits=100)
    late = ledger.hold("acme", TRACK)
    ledger.expire(late)
    ledger.now_us = us("2026-05-01T12:30")
    ledger.commit(late)
    query = GetOverview("acme", us("2026-05-01T10:00"), us("2026-05-01T11:00"))

    seen = overview(engine, ledger, query)

    assert seen.endpoints == ()
    assert seen.total == UsageTotals()


def test_only_grants_with_credits_left_are_shown_in_burn_order(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")
    ledger.grant("acme", 10)
    ledger.charge("acme")
    due_us = ledger.now_us + DAY_US
    last = ledger.grant("acme", 5, priority=2)
    ledger.grant("acme", 6, priority=1, expires_us=due_us)
    first = ledger.grant("acme", 7, priority=1, expires_us=due_us + 1)
    ledger.now_us = due_us

    seen = overview(engine, ledger)

    assert [each.grant_id for each in seen.grants] == [first, last]


def test_prices_are_those_in_force_and_those_to_come(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    ledger.publish(effective_us=ledger.now_us + 9)
    ledger.publish(effective_us=ledger.now_us + 5)
    ledger.account("acme")

    seen = overview(engine, ledger)

    assert seen.prices is not None
    assert seen.prices.version == 1
    assert [each.version for each in seen.upcoming_prices] == [3, 2]


def test_before_any_list_there_are_no_prices(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")

    seen = overview(engine, ledger)

    assert (seen.prices, seen.upcoming_prices) == (None, ())


def test_an_account_without_usage_has_every_bucket_empty(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")

    seen = overview(engine, ledger)

    assert [bucket.usage for bucket in seen.series] == [UsageTotals()] * 31


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (GetOverview("nobody"), Reason.ACCOUNT_NOT_FOUND),
        (GetOverview("nobody", time_zone="Mars"), Reason.INVALID_FIELD),
        (GetOverview("nobody", 0, NEW_YEAR_US, HOUR), Reason.INVALID_FIELD),
        (GetOverview("nobody", NEW_YEAR_US, NEW_YEAR_US), Reason.INVALID_FIELD),
    ],
)
def test_bad_fields_are_told_before_a_missing_account(
    module_engine: Engine, query: GetOverview, reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        SqlReader(module_engine).overview(query)

    assert refused.value.reason is reason


# What it costs


@thorough
@pytest.mark.parametrize("zone", with_thorough(ZONES, quick=QUICK))
def test_the_age_of_an_account_does_not_change_what_is_read(engine: Engine, zone: str) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    key = ledger.accounts[ledger.account("acme")].key
    for hour in range(0, 31 * 24, 3):
        ledger.count(key, NEW_YEAR_US + hour * HOUR_US, 2, UsageKind.CHARGED, 1, 10)
    reader = saved(engine, ledger)
    query = GetOverview("acme", NEW_YEAR_US, NEW_YEAR_US + 31 * DAY_US, time_zone=zone)
    with statements_of(engine) as young:
        before = reader.overview(query)

    age(engine, key)
    with statements_of(engine) as old:
        after = reader.overview(query)

    assert comparable(after) == comparable(before)
    assert [each[0] for each in old] == [each[0] for each in young]
    if engine.dialect.name == "sqlite":
        plans = [row[3] for each in old for row in plan(engine, *each) if "usage_" in row[3]]
        assert plans
        assert all("shard=? AND account_key=? AND" in each for each in plans), plans
        assert all(">? AND" in each for each in plans), plans


def age(engine: Engine, key: int) -> None:
    """Give an account ten years more of counters."""
    ledger = LedgerBuilder()
    for day in range(-3_650, 0):
        ledger.count(key, NEW_YEAR_US + day * DAY_US, 2, UsageKind.CHARGED, 1, 10)
    with engine.begin() as connection:
        ledger.save(connection)


@pytest.mark.parametrize(
    ("by", "zone", "days", "hours", "strips_max"),
    [
        (DAY, "UTC", 365, 0, 1),
        (MONTH, "UTC", 365, 0, 12),
        (HOUR, "UTC", 0, 8_760, 1),
        (DAY, "Europe/Berlin", 0, 8_760, 7),
        (DAY, "Asia/Kolkata", 0, 8_760, 9),
        (HOUR, "Asia/Kolkata", 0, 8_760, 2),
        (DAY, "Australia/Lord_Howe", 0, 8_760, 7),
        (MONTH, "Asia/Kolkata", 353, 288, 61),
        (MONTH, "Europe/Berlin", 353, 288, 36),
    ],
)
def test_whole_days_are_read_as_days(
    by: Granularity, zone: str, days: int, hours: int, strips_max: int
) -> None:
    query = GetOverview("acme", NEW_YEAR_US, NEW_YEAR_US + 365 * DAY_US, by, zone)

    strips = strips_of(period_of(query, now_us=0))

    assert sum(strip.width * strip.times for strip in strips if strip.daily) == days
    quarters = sum(
        (strip.quarters[1] - strip.quarters[0]) * strip.width * strip.times
        for strip in strips
        if not strip.daily
    )
    # Where hours begin at half past, the period is widened by half an hour at both ends.
    assert quarters == hours * QUARTERS + (4 if zone == "Asia/Kolkata" else 0)
    assert len(strips) <= strips_max


@given(
    start_q=st.integers(4 * 490_000, 4 * 500_000),
    length_h=st.integers(1, 3_000),
    by=st.sampled_from([HOUR, DAY, MONTH]),
    zone=st.sampled_from([*ZONES, "America/Santiago", "Europe/London"]),
)
def test_strips_have_every_quarter_of_the_period_once_and_in_its_bucket(
    start_q: int, length_h: int, by: Granularity, zone: str
) -> None:
    start_us = start_q * QUARTER_US
    query = GetOverview("acme", start_us, start_us + length_h * HOUR_US, by, zone)
    period = period_of(query, now_us=0)
    found: dict[int, int] = {}
    for strip in strips_of(period):
        unit = 24 * QUARTERS if strip.daily else QUARTERS
        for time in range(strip.times):
            first = strip.first + time * strip.stride
            for at in range(first, first + strip.width):
                quarters = range(at * unit, (at + 1) * unit)
                for quarter in quarters if strip.daily else quarters[slice(*strip.quarters)]:
                    assert quarter not in found
                    found[quarter] = strip.bucket + time

    expected = range(period.start_us // QUARTER_US, period.end_us // QUARTER_US)
    assert found == {each: period.bucket_at(each * QUARTER_US) for each in expected}


def overview(engine: Engine, ledger: LedgerBuilder, query: GetOverview | None = None) -> Overview:
    return saved(engine, ledger).overview(query or GetOverview("acme"))


def saved(engine: Engine, ledger: LedgerBuilder) -> SqlReader:
    with engine.begin() as connection:
        ledger.save(connection)
    return SqlReader(engine, clock=lambda: ledger.now_us)


def comparable(overview: Overview) -> tuple[Any, ...]:
    """Return an overview as plain values; a price list is compared by what it holds."""
    facts = astuple(replace(overview, prices=None, upcoming_prices=()))
    lists = [overview.prices, *overview.upcoming_prices]
    return (*facts, *(each and said_by(each) for each in lists))


def plan(engine: Engine, statement: str, parameters: Any) -> list[Any]:
    if not statement.startswith("SELECT"):
        return []
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [tuple(row) for row in rows]
