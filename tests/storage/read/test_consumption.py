"""What accounts consume, and all of them together: the sums of their overviews, in every zone."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import (
    DAY_US,
    NEW_YEAR_US,
    SECOND_US,
    TRACK,
    LedgerBuilder,
    statements_of,
)
from tests.support.thorough import with_thorough
from tollkeeper.core.answers import buckets
from tollkeeper.core.answers.views import AccountConsumption, Overview, PlatformEndpoint
from tollkeeper.core.commands import (
    GetOverview,
    GetPlatformOverview,
    Granularity,
    ListConsumption,
)
from tollkeeper.core.errors import Refused
from tollkeeper.core.usage import HOUR_US, UsageKind, UsageTotals
from tollkeeper.storage.reader import SqlReader

HOUR, DAY, MONTH = Granularity.HOUR, Granularity.DAY, Granularity.MONTH
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe"]
QUICK = ["Asia/Kathmandu"]
ACCOUNTS = ["a", "a/1", "a/2", "a_", "B", "b", "idle"]


def us(words: str) -> int:
    return int(datetime.fromisoformat(words).replace(tzinfo=UTC).timestamp()) * SECOND_US


def saved(engine: Engine, ledger: LedgerBuilder) -> SqlReader:
    with engine.begin() as connection:
        ledger.save(connection)
    return SqlReader(engine, clock=lambda: ledger.now_us)


@pytest.fixture(scope="module")
def year(module_engine: Engine) -> SqlReader:
    """A year of usage of several accounts; two of them hold what is past its deadline."""
    chance = random.Random(2026)
    ledger = LedgerBuilder(now_us=us("2026-10-25T00:59:30"))
    ledger.publish()
    for name in ACCOUNTS:
        ledger.account(name, credits=1_000)
    for name in ACCOUNTS[:-1]:
        key = ledger.accounts[name].key
        for hour in chance.sample(range(365 * 24), 400):
            for kind in chance.sample(list(UsageKind), 3):
                counts = chance.randrange(1, 9), chance.randrange(1, 99)
                endpoint_id = chance.choice([1, 2, 3])
                at_us = NEW_YEAR_US + hour * HOUR_US + chance.randrange(HOUR_US)
                ledger.count(key, at_us, endpoint_id, kind, *counts)
    for name in ("a", "a", "B"):
        ledger.hold(name, TRACK, hold_s=60)
    ledger.now_us = us("2026-10-26T10:11:12")
    return saved(module_engine, ledger)


def overviews(reader: SqlReader, *period: Any) -> dict[str, Overview]:
    return {name: reader.overview(GetOverview(name, *period)) for name in ACCOUNTS}


def sum_of(usages: list[UsageTotals]) -> UsageTotals:
    return UsageTotals(*map(sum, zip(*usages, strict=True))) if usages else UsageTotals()


@pytest.mark.parametrize("zone", with_thorough(ZONES, quick=QUICK))
@pytest.mark.parametrize(
    ("by", "start", "end"),
    [
        (HOUR, "2026-10-24T00:00", "2026-10-26T00:00"),
        (DAY, "2026-03-01T00:00", "2026-04-01T00:00"),
        (DAY, "2026-09-27T13:30", "2026-11-02T07:30"),
        (MONTH, "2026-01-01T00:00", "2027-01-01T00:00"),
        (MONTH, "2026-02-14T03:00", "2026-12-24T18:00"),
        (DAY, "2030-01-01T00:00", "2030-01-05T00:00"),
    ],
)
def test_the_platform_is_the_sum_of_its_accounts(
    year: SqlReader, zone: str, by: Granularity, start: str, end: str
) -> None:
    period = (us(start), us(end), by, zone)
    accounts = overviews(year, *period).values()

    seen = year.platform_overview(GetPlatformOverview(*period, endpoint_series=True))

    assert seen.total == sum_of([each.total for each in accounts])
    for index, bucket in enumerate(seen.series):
        assert {each.series[index].start_us for each in accounts} == {bucket.start_us}
        assert bucket.usage == sum_of([each.series[index].usage for each in accounts])
    named = {(each.method, each.path): each for each in seen.endpoints}
    ones = [each for account in accounts for each in account.endpoints]
    assert named.keys() == {(each.method, each.path) for each in ones}
    for (method, path), endpoint in named.items():
        same = [each.usage for each in ones if (each.method, each.path) == (method, path)]
        assert endpoint.usage == sum_of(same)
        assert endpoint.usage == sum_of([bucket.usage for bucket in endpoint.series])
    assert seen.total == sum_of([each.usage for each in seen.endpoints])


@pytest.mark.parametrize("zone", with_thorough(ZONES, quick=QUICK))
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-01-01T00:00", "2027-01-01T00:00"),
        ("2026-03-28T05:10", "2026-03-31T17:50"),
        ("2026-10-24T18:30", "2026-10-25T18:30"),
        ("2030-01-01T00:00", "2030-01-05T00:00"),
    ],
)
def test_an_account_consumed_what_its_overview_says(
    year: SqlReader, zone: str, start: str, end: str
) -> None:
    period = (us(start), us(end), DAY, zone)
    found = {name: each.total for name, each in overviews(year, *period).items()}

    page = year.consumption(ListConsumption(100, us(start), us(end), zone))

    used = [AccountConsumption(name, usage) for name, usage in found.items() if any(usage)]
    assert list(page.accounts) == sorted(
        used, key=lambda each: (-each.usage.credits, each.account_id)
    )
    assert page.next_after is None
    overview = year.overview(GetOverview("a", *period))
    assert (page.start_us, page.end_us) == (overview.start_us, overview.end_us)


def test_unset_the_period_is_the_month_of_the_zone(year: SqlReader) -> None:
    zone = "America/New_York"
    own = overviews(year, None, None, DAY, zone)

    page = year.consumption(ListConsumption(100, time_zone=zone))
    seen = year.platform_overview(GetPlatformOverview(time_zone=zone))

    assert (page.start_us, page.end_us) == (own["a"].start_us, own["a"].end_us)
    assert (seen.start_us, seen.end_us) == (own["a"].start_us, own["a"].end_us)
    assert seen.total == sum_of([each.usage for each in page.accounts])
    assert seen.total == sum_of([each.total for each in own.values()])
    assert {each.series for each in seen.endpoints} == {()}


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a_", "B", "nobody"])
def test_pages_neither_miss_nor_repeat(year: SqlReader, page_size: int, prefix: str) -> None:
    whole = year.consumption(ListConsumption(100)).accounts
    seen: list[AccountConsumption] = []
    query = ListConsumption(page_size, prefix=prefix)
    while True:
        page = year.consumption(query)
        seen += page.accounts
        if page.next_after is None:
            break
        assert len(page.accounts) == page_size
        query = ListConsumption(page_size, prefix=prefix, after=page.next_after)

    assert seen == [each for each in whole if each.account_id.startswith(prefix)]


def test_accounts_of_equal_credits_come_by_id_and_page_by_page(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    for name in ("b", "a", "C", "rich"):
        key = ledger.accounts[ledger.account(name)].key
        credits = 9 if name == "rich" else 5
        ledger.count(key, NEW_YEAR_US, 2, UsageKind.CHARGED, 1, credits)
    reader = saved(engine, ledger)

    first = reader.consumption(ListConsumption(2))
    second = reader.consumption(ListConsumption(2, after=first.next_after))

    found = [each.account_id for each in (*first.accounts, *second.accounts)]
    assert found == ["rich", "C", "a", "b"]


def test_the_next_pages_keep_to_the_period_of_the_first(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    for name in ("a", "b"):
        key = ledger.accounts[ledger.account(name)].key
        ledger.count(key, NEW_YEAR_US, 2, UsageKind.CHARGED, 1, 5)
    reader = saved(engine, ledger)
    first = reader.consumption(ListConsumption(1))
    ledger.now_us += 31 * DAY_US

    second = reader.consumption(ListConsumption(1, after=first.next_after))

    assert [each.account_id for each in second.accounts] == ["b"]
    assert (second.start_us, second.end_us) == (first.start_us, first.end_us)


def test_what_was_taken_back_is_no_usage(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    key = ledger.accounts[ledger.account("a")].key
    ledger.count(key, NEW_YEAR_US, 2, UsageKind.EXPIRED, 0, 0)
    reader = saved(engine, ledger)

    seen = reader.platform_overview(GetPlatformOverview(endpoint_series=True))

    assert reader.consumption(ListConsumption(10)).accounts == ()
    assert seen.endpoints == ()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (ListConsumption(10, time_zone="Mars"), "time_zone: must be an IANA time zone"),
        (ListConsumption(10, NEW_YEAR_US, NEW_YEAR_US), "end_time: the period must begin before"),
        (ListConsumption(10, us("2000-01-01T00:00"), us("2030-01-01T00:00")), "9,900 days"),
        (ListConsumption(10, end_us=us("2090-01-01T00:00")), "9,900 days"),
    ],
)
def test_a_bad_period_is_refused(year: SqlReader, query: ListConsumption, message: str) -> None:
    with pytest.raises(Refused, match=message):
        year.consumption(query)


def test_the_longest_period_is_read(year: SqlReader) -> None:
    start = us("2026-10-01T00:00") - 9_800 * DAY_US

    page = year.consumption(ListConsumption(10, start, None, "Asia/Kolkata"))

    assert len(page.accounts) == len(ACCOUNTS) - 1


def test_too_many_figures_are_refused(year: SqlReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "FIGURES_MAX", 50)
    period = (NEW_YEAR_US, NEW_YEAR_US + 90 * DAY_US)

    with pytest.raises(Refused, match="gives more than 50 figures by endpoint"):
        year.platform_overview(GetPlatformOverview(*period, endpoint_series=True))

    months = GetPlatformOverview(*period, MONTH, endpoint_series=True)
    assert sum(len(each.series) for each in year.platform_overview(months).endpoints) <= 50
    assert isinstance(year.platform_overview(months).endpoints[0], PlatformEndpoint)


# What it costs


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize(
    "zone",
    with_thorough(["UTC", "Europe/Berlin", "Asia/Kolkata"], quick=["Asia/Kolkata"]),
)
def test_the_counters_of_the_period_alone_are_read_by_their_key(
    engine: Engine, zone: str, analysed: bool
) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    keys = [ledger.accounts[ledger.account(f"account-{number}")].key for number in range(20)]
    for key in keys:
        for hour in range(-200 * 24, 31 * 24, 8):
            ledger.count(key, NEW_YEAR_US + hour * HOUR_US, 2, UsageKind.CHARGED, 1, 10)
    reader = saved(engine, ledger)
    if analysed:
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    period = (NEW_YEAR_US + DAY_US, NEW_YEAR_US + 11 * DAY_US)

    with statements_of(engine) as seen:
        page = reader.consumption(ListConsumption(100, *period, zone))
        whole = reader.platform_overview(GetPlatformOverview(*period, DAY, zone))

    # The period of a zone that begins its hours at half past has one more: it is widened to whole hours of the zone.
    times = 30 if zone in {"UTC", "Europe/Berlin"} else 31
    assert whole.total == UsageTotals(requests=20 * times, credits=20 * times * 10)
    one = UsageTotals(requests=times, credits=times * 10)
    assert {each.usage for each in page.accounts} == {one}
    statements = [each for each in seen if "usage_" in each[0]]
    assert len(statements) == 2
    assert not any(" entry" in each[0] for each in seen)
    if engine.dialect.name == "sqlite":
        for plan in (plan_of(engine, *each) for each in statements):
            used = [step for step in plan if "usage_" in step]
            assert used
            assert all("shard=? AND account_key=? AND" in step for step in used), plan


def plan_of(engine: Engine, statement: str, parameters: tuple[Any, ...]) -> list[str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row[3] for row in rows]
