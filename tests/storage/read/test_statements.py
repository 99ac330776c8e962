"""Statements: found by time in few steps, right also where a clock was set back, equal to the overview."""

import random
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import (
    DAY_US,
    LEADS,
    NEW_YEAR_US,
    SECOND_US,
    TRACK,
    LedgerBuilder,
    statements_of,
)
from tests.support.thorough import thorough, with_thorough
from tollkeeper.core.account import shard_of
from tollkeeper.core.answers.views import EntryView
from tollkeeper.core.commands import GetOverview, Granularity, ListEntries
from tollkeeper.core.journal import CHARGES
from tollkeeper.core.usage import HOUR_US
from tollkeeper.storage.read.entries import CLOCK_SLACK_US
from tollkeeper.storage.reader import SqlReader

PAGE_SIZE = 7
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Asia/Kolkata"]


def us(words: str) -> int:
    return int(datetime.fromisoformat(words).replace(tzinfo=UTC).timestamp()) * SECOND_US


def saved(engine: Engine, ledger: LedgerBuilder) -> SqlReader:
    with engine.begin() as connection:
        ledger.save(connection)
    return SqlReader(engine, clock=lambda: ledger.now_us)


def statement(
    reader: SqlReader, start_us: int | None, end_us: int | None, *, page_size: int = PAGE_SIZE
) -> list[EntryView]:
    """Read a statement page by page, as an export does."""
    found: list[EntryView] = []
    after = 0
    while True:
        page = reader.entries(ListEntries("acme", page_size, after, start_us, end_us))
        found += page.entries
        assert all(each.entry.sequence < page.sequence_end for each in page.entries)
        if not page.next_after:
            return found
        after = page.next_after


def expected(ledger: LedgerBuilder, start_us: int | None, end_us: int | None) -> list[int]:
    """The sequences of the entries of a period, by looking at each."""
    return [
        int(row[2])
        for row in ledger.entries
        if (start_us is None or row[6] >= start_us) and (end_us is None or row[6] < end_us)
    ]


# It adds up to the overview


@pytest.fixture(scope="module")
def autumn(module_engine: Engine) -> SqlReader:
    """Charges, late ones among them, over three months in which clocks change."""
    chance = random.Random(7)
    ledger = LedgerBuilder(now_us=us("2026-09-20T00:00"))
    ledger.publish()
    ledger.account("acme", credit_limit=5_000, credits=20_000)
    while ledger.now_us < us("2026-12-15T00:00"):
        ledger.now_us += chance.randrange(20 * HOUR_US)
        ledger.charge("acme", chance.choice([LEADS, TRACK]), times=chance.randrange(1, 3))
        if chance.random() < 0.2:
            late = ledger.hold("acme", LEADS)
            ledger.expire(late)
            ledger.now_us += chance.randrange(3 * HOUR_US)
            ledger.commit(late)
    ledger.now_us = us("2026-12-20T00:00")
    return saved(module_engine, ledger)


@pytest.mark.parametrize("zone", with_thorough(ZONES, quick=["Europe/Berlin"]))
@pytest.mark.parametrize("by", list(Granularity))
def test_the_charges_of_a_statement_add_up_to_the_overview(
    autumn: SqlReader, zone: str, by: Granularity
) -> None:
    start, end = us("2026-10-01T00:00"), us("2026-12-01T00:00")
    overview = autumn.overview(GetOverview("acme", start, end, by, zone))
    bounds = [*(bucket.start_us for bucket in overview.series), overview.end_us]

    whole = charges(statement(autumn, overview.start_us, overview.end_us))

    step = 97 if by is Granularity.HOUR else 1
    for index in range(0, len(overview.series), step):
        bucket = charges(statement(autumn, bounds[index], bounds[index + 1]))
        usage = overview.series[index].usage
        assert sum(bucket.values()) == usage.credits
    assert sum(whole.values()) == overview.total.credits > 0
    assert whole == {(each.method, each.path): each.usage.credits for each in overview.endpoints}


def charges(entries: list[EntryView]) -> Counter[tuple[str, str]]:
    """What was charged, by endpoint."""
    found: Counter[tuple[str, str]] = Counter()
    for each in entries:
        if each.entry.kind in CHARGES:
            found[each.method, each.path] -= each.entry.credits
    return found


def test_the_months_of_a_statement_make_up_the_whole(autumn: SqlReader) -> None:
    bounds = [us(f"2026-{month:02}-01T00:00") for month in (9, 10, 11, 12)]

    parts = [each for pair in pairwise(bounds) for each in statement(autumn, *pair)]

    assert parts == statement(autumn, None, bounds[-1])
    assert [each.entry.sequence for each in parts] == [*range(1, len(parts) + 1)]


# The place of a time


@pytest.mark.parametrize("seed", with_thorough(range(5), quick=[0]))
def test_a_clock_that_was_set_back_a_little_hides_no_entry(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    ledger = LedgerBuilder()
    ledger.account("acme", credits=10_000)
    for _ in range(150):
        ledger.now_us += chance.randrange(2 * 60 * SECOND_US)
        if chance.random() < 0.1:
            ledger.now_us -= chance.randrange(CLOCK_SLACK_US)
        ledger.charge("acme")
    reader = saved(engine, ledger)

    for _ in range(20):
        start = NEW_YEAR_US + chance.randrange(3 * HOUR_US)
        end = start + chance.randrange(1, HOUR_US)
        for period in ((start, end), (start, None), (None, end)):
            found = [each.entry.sequence for each in statement(reader, *period)]
            assert found == expected(ledger, *period)


def test_a_clock_that_was_set_back_far_shows_no_entry_of_another_time(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=10_000)
    for back in (0, 0, DAY_US, 0, 2 * DAY_US, 0):
        ledger.now_us -= back
        for _ in range(20):
            ledger.now_us += HOUR_US
            ledger.charge("acme")
    reader = saved(engine, ledger)
    start, end = NEW_YEAR_US + 15 * HOUR_US, NEW_YEAR_US + 30 * HOUR_US

    found = [each.entry.sequence for each in statement(reader, start, end)]

    assert set(found) <= set(expected(ledger, start, end))
    assert found == sorted(set(found))
    whole = [each.entry.sequence for each in statement(reader, None, None)]
    assert whole == expected(ledger, None, None)


def test_a_gap_in_a_journal_hides_nothing_else(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=10_000)
    for _ in range(30):
        ledger.now_us += HOUR_US
        ledger.charge("acme")
    del ledger.entries[10:20]
    reader = saved(engine, ledger)

    for hour in range(31):
        start = NEW_YEAR_US + hour * HOUR_US
        for period in ((start, None), (None, start), (start, start + 3 * HOUR_US)):
            found = [each.entry.sequence for each in statement(reader, *period)]
            assert found == expected(ledger, *period)


def test_an_account_without_entries_has_an_empty_statement(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")
    reader = saved(engine, ledger)

    page = reader.entries(ListEntries("acme", 10, 0, NEW_YEAR_US, NEW_YEAR_US + DAY_US))

    assert (page.entries, page.next_after, page.sequence_end) == ((), 0, 1)


# What it costs

LENGTH = 20_000


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize(
    ("first", "end"),
    [
        (19_980, None),
        (None, 5),
        pytest.param(10_000, 10_010, marks=thorough),
        pytest.param(0, 10, marks=thorough),
        pytest.param(30_000, 30_001, marks=thorough),
    ],
)
def test_a_time_is_found_without_walking_the_journal(
    engine: Engine, first: int | None, end: int | None, analysed: bool
) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")
    reader = saved(engine, ledger)
    lengthen(engine, ledger)
    if analysed:
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    bounds = [None if hour is None else NEW_YEAR_US + hour * HOUR_US for hour in (first, end)]
    query = ListEntries("acme", 100, 0, *bounds)

    with statements_of(engine) as seen:
        found = [each.entry.sequence for each in reader.entries(query).entries]

    assert found == [*range((first or 0) + 1, min(end or LENGTH, LENGTH) + 1)]
    assert len(seen) <= 9  # three of them see whether anything is due
    if engine.dialect.name == "sqlite":
        assert sum(steps(engine, *each) for each in seen) < 20_000
    else:
        assert sum(entries_read(engine, *each) for each in seen if "entry" in each[0]) < 300


def lengthen(engine: Engine, ledger: LedgerBuilder) -> None:
    """Give the account an entry an hour, as no engine would write so fast."""
    key = ledger.accounts["acme"].key
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :length) "
        "INSERT INTO entry (shard, account_key, sequence, kind, credits, settled, created_us, "
        "reservation_id, grant_id, endpoint_id, price_version) "
        "SELECT :shard, :key, i, 1, 1, i, :start + (i - 1) * :hour, 0, 0, 0, 0 FROM n"
    )
    with engine.begin() as connection:
        connection.execute(
            text(numbers.replace(":start", str(NEW_YEAR_US)).replace(":hour", str(HOUR_US))),
            {"length": LENGTH, "shard": shard_of(key), "key": key},
        )
        connection.execute(text(f"UPDATE account SET sequence = {LENGTH}"))  # noqa: S608 - ours


def steps(engine: Engine, statement: str, parameters: tuple[object, ...]) -> int:
    """How many instructions SQLite carries out, in tens."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 10
        return 0

    connection = engine.raw_connection()
    driver = connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_progress_handler(count, 10)
    driver.execute(statement, parameters).fetchall()
    driver.set_progress_handler(None, 10)
    connection.close()
    return counted


def entries_read(engine: Engine, statement: str, parameters: dict[str, object]) -> int:
    """How many rows of `entry` PostgreSQL reads, those that it throws away among them."""
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
        ).scalar_one()
    waiting, total = [plan[0]["Plan"]], 0
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if node.get("Relation Name") == "entry":
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            total += int(rows * node["Actual Loops"])
    return total
