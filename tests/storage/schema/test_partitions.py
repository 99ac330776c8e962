"""Partitions on PostgreSQL: made ahead, once, without being in a lane's way; looked into only where they matter."""

import asyncio
import itertools
import re
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from tests.storage.lane.test_plans import IDS, SHARDS, nodes, plan
from tests.support.builders import busy_ledger
from tests.support.ledgers import COMMITTED, Ledger, fill, held, leads
from tests.support.postgres import Postgres
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Commit, ListEntries
from tollkeeper.engine.ids import least_id, time_of_id_us
from tollkeeper.engine.ports import ConflictError
from tollkeeper.storage.connections.engines import create_cold_engine, exclusive
from tollkeeper.storage.lane import arrays
from tollkeeper.storage.lane import postgres_sql as sql
from tollkeeper.storage.lane.postgres_lane import PostgresLane
from tollkeeper.storage.reader import SqlReader
from tollkeeper.storage.schema import migrate, partitions, tables
from tollkeeper.storage.schema.usage_tables import PARTS_OF_AN_HOUR
from tollkeeper.storage.store import open_store
from tollkeeper.storage.verify.verify import find_broken

pytestmark = pytest.mark.postgres

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US
NOW_US = 1_800_000_000_000_000  # 2027-01-15
ADDED_SINCE = {name for part in PARTS_OF_AN_HOUR[1:] for name in part}


@pytest.fixture
def url(postgres: Postgres, ledger_template: str) -> Generator[str]:
    url = postgres.create_database(template=ledger_template)
    yield url
    postgres.drop_database(url)


def test_a_filled_ledger_of_the_version_before_becomes_the_first_partition(
    postgres: Postgres,
) -> None:
    url = postgres.create_database()
    engine = create_cold_engine(url)
    with exclusive(engine) as connection:
        config = migrate._config()  # pyright: ignore[reportPrivateUsage]
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
    ledger = busy_ledger()
    with engine.begin() as connection:
        ledger.save(connection, without=ADDED_SINCE)
        before = rows(connection)

    migrate.upgrade(url)

    with engine.connect() as connection:
        assert rows(connection) == before
        assert list(find_broken(connection, overdue_before_us=ledger.now_us)) == []
    assert set(names(url, "reservation")) >= {"reservation_first", "reservation_default"}
    assert count(url, "reservation_first") == len(before[0]) > 0
    assert count(url, "entry_first") == len(before[1]) > 0
    engine.dispose()


def test_partitions_are_made_ahead_without_a_gap_and_once(url: str) -> None:
    partitions.keep(url, retention_us=1_000 * DAY_US, at_us=NOW_US)
    first = {table: names(url, table) for table in ("reservation", "entry")}
    partitions.keep(url, retention_us=1_000 * DAY_US, at_us=NOW_US)

    assert {table: names(url, table) for table in first} == first
    for kind in partitions.KINDS:
        bounds = sorted(ranges(url, kind.table))
        assert all(end == start for (_, end), (start, _) in itertools.pairwise(bounds))
        assert kind.time_of_us(bounds[-1][1]) >= NOW_US + partitions.AHEAD_US


def test_many_servers_make_them_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        for at_us in (NOW_US, NOW_US + 40 * DAY_US):
            work = [
                threads.submit(partitions.keep, url, retention_us=WEEK_US, at_us=at_us)
                for _ in range(4)
            ]
            for each in work:
                each.result()

    assert len(names(url, "entry")) == len(set(names(url, "entry"))) >= 4


def test_a_partition_of_either_kind_is_made_as_the_first_was(url: str) -> None:
    partitions.keep(url, retention_us=1_000 * DAY_US, at_us=NOW_US)

    for table in ("reservation", "entry"):
        made = {name: what(url, name) for name in names(url, table)}
        assert len(made) > 2
        assert len({str(each) for each in made.values()}) == 1, made
        assert all(
            each[0] == (["fillfactor=50"] if table == "reservation" else None)
            for each in made.values()
        )


@pytest.mark.parametrize("statement", ["UPDATE {} SET kind = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_every_partition_of_the_journal_refuses_to_be_changed(url: str, statement: str) -> None:
    partitions.keep(url, retention_us=WEEK_US, at_us=NOW_US)
    engine = create_engine(url)

    for name in ["entry", *names(url, "entry")]:
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement.format(name)))
    engine.dispose()


def test_a_row_without_a_partition_is_kept_and_told_of(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    reserve(url, least_id(NOW_US))

    partitions.keep(url, retention_us=WEEK_US, at_us=NOW_US)
    later_us = NOW_US + 60 * DAY_US
    partitions.keep(url, retention_us=1_000 * DAY_US, at_us=later_us)
    reserve(url, least_id(later_us))

    assert count(url, "reservation_default") == 1
    assert count(url, "reservation") == 2
    assert "table reservation has rows in its default partition" in caplog.text


def test_a_partition_is_dropped_when_it_is_over_and_empty(url: str) -> None:
    partitions.keep(url, retention_us=WEEK_US, at_us=NOW_US)
    reserve(url, least_id(NOW_US))
    over_us = NOW_US + 60 * DAY_US

    partitions.keep(url, retention_us=WEEK_US, at_us=over_us)
    kept = names(url, "reservation")
    execute(url, "DELETE FROM reservation")
    partitions.keep(url, retention_us=WEEK_US, at_us=over_us)

    assert "reservation_first" not in kept, "it is empty and over"
    assert len(kept) - len(names(url, "reservation")) >= 1
    assert "entry_first" in names(url, "entry"), "journals are kept"
    bounds = ranges(url, "reservation")
    assert any(start <= least_id(over_us) < end for start, end in bounds)


def test_a_partition_that_is_not_empty_when_its_lock_is_won_stays(url: str) -> None:
    reserve(url, 1)
    before = names(url, "reservation")
    engine = create_cold_engine(url)

    with pytest.raises(ConflictError, match="is not empty"), exclusive(engine) as connection:
        partitions._drop(connection, "reservation_first")  # pyright: ignore[reportPrivateUsage]

    assert names(url, "reservation") == before
    engine.dispose()


async def test_a_lane_waits_only_a_moment_for_a_partition_that_is_made_behind_a_long_transaction(
    url: str,
) -> None:
    ledger = Ledger(url)
    other = create_engine(url)
    async with ledger.engine() as engine:
        await fill(engine, credits=1_000)
        with other.begin() as connection:
            connection.execute(text("SELECT count(*) FROM reservation"))
            keeping = asyncio.create_task(
                asyncio.to_thread(partitions.keep, url, retention_us=WEEK_US, at_us=NOW_US)
            )
            took: list[float] = []
            for number in range(20):
                begun = time.monotonic()
                held(await engine.authorize(leads(f"r-{number}")))
                took.append(time.monotonic() - begun)
                await asyncio.sleep(0.03)
            assert len(names(url, "reservation")) == 2
        await keeping

    assert max(took) < 1.0
    assert len(names(url, "reservation")) > 2
    other.dispose()


async def test_an_engine_goes_on_over_the_edge_of_a_partition(url: str) -> None:
    """Repeats find their reservation in the partition before, and a journal goes on in the next one."""
    partitions.keep(url, retention_us=WEEK_US, at_us=NOW_US)
    edge_us = partitions.JOURNAL.period_end_us(NOW_US)
    partitions.keep(url, retention_us=1_000 * DAY_US, at_us=edge_us)
    at_us = [edge_us - 1_000]
    store = open_store(url, clock=lambda: at_us[0])
    ledger = Ledger(url)
    async with ledger.engine(wrap=lambda opened: (opened.close(), store)[1]) as engine:
        await fill(engine, credits=1_000)
        name = held(await engine.authorize(leads("before")))
        await engine.commit(Commit(held(await engine.authorize(leads("charged"))), http_status=200))
        at_us[0] = edge_us + 40 * DAY_US
        again = await engine.authorize(leads("before", hold_us=None))
        await engine.commit(Commit(held(await engine.authorize(leads("after"))), http_status=200))
        page = await engine.entries(ListEntries("acme", page_size=10, start_us=edge_us))
    store.close()

    assert isinstance(again, Authorized)
    assert (again.replayed, again.reservation) == (True, name)
    assert [entry.entry.created_us >= edge_us for entry in page.entries] == [True]
    assert ledger.states()[COMMITTED] == 2
    assert (
        len(
            {
                time_of_id_us(row[0]) // DAY_US
                for row in ledger.rows("SELECT reservation_id FROM reservation")
            }
        )
        == 2
    )


RESERVE = """
    INSERT INTO reservation (shard, reservation_id, account_key, request_digest, endpoint_id, method, path,
        credits, price_version, grant_id, state, outcome, late, created_us, expires_us, hold_us, settled_us)
    VALUES (0, {id}, 0, '\\x{digest}', 1, '', '', 0, 0, 0, 3, 7, false, 0, 0, 0, 0)
"""
PARTS = (
    "SELECT {} FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
    "WHERE inhparent = '{}'::regclass"
)
LOOKED_UP = {
    "reservations": (sql.RESERVATIONS, (SHARDS, IDS)),
    "update reservations": (
        sql.STATEMENTS["settled_reservations"].statement,
        (IDS, IDS, "{t,t,t}", IDS, IDS, arrays.every_text("abc"), IDS, SHARDS, IDS),
    ),
    "update payments": (
        sql.STATEMENTS["payments"].statement,
        (IDS, arrays.texts([None] * 3), IDS, SHARDS, IDS),
    ),
    "delete ended": (sql.DELETE_ENDED, (SHARDS, IDS, IDS, IDS)),
    "aged": (sql.AGED, (SHARDS, 5, 100, 500)),
}


@pytest.mark.parametrize("statement", LOOKED_UP)
def test_a_look_up_by_id_goes_into_one_partition(url: str, statement: str) -> None:
    partitions.keep(url, retention_us=1_000 * DAY_US, at_us=NOW_US)
    store = open_store(url)
    lane = cast("PostgresLane", store.lane())
    with lane._transaction() as (_, driver):  # pyright: ignore[reportPrivateUsage]
        driver.execute(b"SET plan_cache_mode = force_generic_plan")
        found = plan(driver, *LOOKED_UP[statement], explain="EXPLAIN (ANALYZE, FORMAT JSON)")
        driver.rollback()
    lane.close()
    store.close()

    executed = {
        node["Relation Name"]
        for node in nodes(found)
        if node.get("Relation Name", "").startswith("reservation")
        and "Scan" in node["Node Type"]
        and node["Actual Loops"]
    }
    assert executed == {"reservation_first"}


def test_verify_finds_a_request_that_is_reserved_in_two_partitions(url: str) -> None:
    partitions.keep(url, retention_us=WEEK_US, at_us=NOW_US)
    ledger = busy_ledger()
    engine = create_cold_engine(url)
    with engine.begin() as connection:
        ledger.save(connection)
        columns = ", ".join(
            "reservation_id + :away" if name == "reservation_id" else name
            for name in [column.name for column in tables.reservation.columns]
        )
        twice = f"INSERT INTO reservation SELECT {columns} FROM reservation WHERE state = 3"  # noqa: S608 - ours
        connection.execute(text(f"{twice} LIMIT 1"), {"away": least_id(NOW_US)})

    findings = list(SqlReader(engine, clock=lambda: ledger.now_us).verify(overdue_tolerance_us=0))

    assert any("two reservations" in each.message and each.invariant == 10 for each in findings)
    engine.dispose()


# What the database says


def names(url: str, table: str) -> list[str]:
    return sorted(row[0] for row in execute(url, PARTS.format("c.relname", table)))


def ranges(url: str, table: str) -> list[tuple[int, int]]:
    found = execute(url, PARTS.format("pg_get_expr(relpartbound, c.oid)", table))
    return [
        (0 if "MINVALUE" in bound else int(bound.split("'")[1]), int(bound.split("'")[-2]))
        for (bound,) in found
        if "DEFAULT" not in bound
    ]


def what(url: str, name: str) -> tuple[Any, list[str], list[str]]:
    """The options, indexes and triggers of a partition, without its name."""
    options = execute(url, f"SELECT reloptions FROM pg_class WHERE relname = '{name}'")  # noqa: S608 - ours
    indexes = execute(url, f"SELECT indexdef FROM pg_indexes WHERE tablename = '{name}'")  # noqa: S608 - ours
    triggers = execute(url, f"SELECT tgname FROM pg_trigger WHERE tgrelid = '{name}'::regclass")  # noqa: S608 - ours
    return (
        options[0][0],
        sorted(re.sub(r" \S+ ON \S+ ", " ", str(row[0])) for row in indexes),
        sorted(str(row[0]) for row in triggers),
    )


def rows(connection: Connection) -> list[list[str]]:
    """The reservations and the journal."""
    return [
        sorted(str(row) for row in connection.execute(text(f"SELECT * FROM {table}")))  # noqa: S608 - ours
        for table in ("reservation", "entry")
    ]


def count(url: str, table: str) -> int:
    return execute(url, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - ours


def reserve(url: str, reservation_id: int) -> None:
    digest = reservation_id.to_bytes(16, "big").hex()
    execute(url, RESERVE.format(id=reservation_id, digest=digest))


def execute(url: str, statement: str) -> list[Any]:
    engine = create_engine(url)
    with engine.begin() as connection:
        found = connection.exec_driver_sql(statement)
        result = list(found) if found.returns_rows else []
    engine.dispose()
    return result
