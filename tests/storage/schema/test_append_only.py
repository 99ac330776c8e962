"""The store itself refuses every effect that changes or removes a row of an append-only table, on either database.

What is planted is what somebody may do who has a connection and no right to change the schema.
"""
# ruff: noqa: S608 - the statements are put together from our own names

from collections.abc import Iterable, Iterator

import pytest
from sqlalchemy import Connection, Engine, Table, insert, text
from sqlalchemy.exc import DBAPIError

from tests.storage.schema.test_partitions import names
from tests.support.builders import busy_ledger
from tests.support.unlocked import APPEND_ONLY
from tollkeeper.engine.ports import ConflictError
from tollkeeper.storage.connections.faults import store_errors
from tollkeeper.storage.read.events import place
from tollkeeper.storage.schema import partitions, tables

KEYS = {
    "entry": ["shard, account_key, sequence"],
    "endpoint": ["endpoint_id", "method, path"],
    "price_list": ["version"],
    "price": ["version, position"],
    "admin_request": ["digest"],
    "event": ["shard, account_key, rule_id, period", "event_id", "position"],
}
"""The unique keys of each table."""

ROWS_BY_NUMBER = ("endpoint", "price_list", "price", "admin_request")
"""The tables whose rows SQLite numbers itself: a key that no index names."""

CHANGED = {
    "entry": "note",
    "endpoint": "path",
    "price_list": "note",
    "price": "note",
    "admin_request": "result",
    "event": "rule",
}
"""A text of each table, to be changed."""


@pytest.fixture(scope="module")
def full(module_engine: Engine) -> Engine:
    """A ledger with rows in every table; what is refused leaves them as they are."""
    ledger = busy_ledger()
    with module_engine.begin() as connection:
        ledger.save(connection)
    return module_engine


def columns(table: str) -> list[str]:
    return [column.name for column in tables.metadata.tables[table].columns]


def copied(table: str, changed: dict[str, str], *, more: str = "") -> str:
    """What makes a row from one that is there: `changed` names what is put in place of its values."""
    values = ", ".join(changed.get(each, each) for each in columns(table))
    return f"SELECT {values}{more} FROM {table} WHERE {present(table)} LIMIT 1"


def present(table: str) -> str:
    return "position IS NOT NULL" if table == "event" else "1 = 1"


def other_keys(table: str, key: str) -> dict[str, str]:
    """Values of all keys but one that no row has, so that a new row meets an old one over this key alone."""
    others = {
        name for each in KEYS[table] if each != key for name in each.split(", ") if each != "rowid"
    }
    integers = {name: f"{name} + 5000" for name in others - {"method", "path", "digest"}}
    texts = {name: f"{name} || 'x'" for name in others & {"method", "path"}}
    digests = dict.fromkeys(others & {"digest"}, "randomblob(16)")
    return integers | texts | digests


def planted(table: str) -> Iterator[str]:
    """Yield what both databases understand."""
    for name in columns(table):
        yield f"UPDATE {table} SET {name} = {name}"
    changed = CHANGED[table]
    yield f"UPDATE {table} SET {changed} = 'edited'"
    yield f"DELETE FROM {table}"
    yield f"DELETE FROM {table} WHERE {changed} IS NOT NULL"


def upserted(table: str, key: str, target: str) -> str:
    """What changes a row that has the key of a new one."""
    new = copied(table, other_keys(table, key))
    changed = CHANGED[table]
    return f"INSERT INTO {table} {new} ON CONFLICT ({target}) DO UPDATE SET {changed} = 'edited'"


def targets(table: str, *, more_of_entry: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key, and how a statement names it."""
    for key in KEYS[table]:
        if key == "position":
            yield key, "position) WHERE (position IS NOT NULL"
        else:
            yield key, key + (more_of_entry if table == "entry" else "")


def planted_on_sqlite(table: str) -> Iterator[str]:
    """Yield what SQLite understands: it has a way to replace whatever stands in the way."""
    yield from planted(table)
    yield from (upserted(table, *each) for each in targets(table))
    changed = CHANGED[table]
    for key in KEYS[table]:
        new = copied(table, {**other_keys(table, key), changed: "'edited'"})
        if changed in key:
            new = copied(table, other_keys(table, key))
        yield f"REPLACE INTO {table} {new}"
        yield f"INSERT OR REPLACE INTO {table} {new}"
    yield f"REPLACE INTO {table} SELECT * FROM {table}"
    yield f"UPDATE OR REPLACE {table} SET {changed} = 'edited'"
    yield f"UPDATE OR IGNORE {table} SET {changed} = 'edited'"
    yield f"UPDATE OR ROLLBACK {table} SET {changed} = 'edited'"
    if table in ROWS_BY_NUMBER:
        names_, row = ", ".join(columns(table)), ", rowid"
        new = copied(table, {**other_keys(table, ""), changed: "'edited'"}, more=row)
        yield f"REPLACE INTO {table} ({names_}, rowid) {new}"
        yield f"UPDATE OR REPLACE {table} SET rowid = rowid + 1"


def planted_on_postgres(table: str) -> Iterator[str]:
    """Yield what PostgreSQL understands."""
    yield from planted(table)
    # The time of an entry is in its key there, since it is what the partitions are cut by.
    yield from (upserted(table, *each) for each in targets(table, more_of_entry=", created_us"))
    changed = CHANGED[table]
    same = " AND ".join(f"t.{name} = u.{name}" for name in KEYS[table][0].split(", "))
    source = f"MERGE INTO {table} t USING (SELECT * FROM {table}) u ON {same} WHEN MATCHED THEN"
    yield f"{source} UPDATE SET {changed} = 'edited'"
    yield f"{source} DELETE"
    yield f"TRUNCATE {table}"
    yield f"TRUNCATE {table} CASCADE"
    yield f"WITH gone AS (DELETE FROM {table} RETURNING *) SELECT count(*) FROM gone"
    yield f"UPDATE {table} t SET {changed} = 'edited' FROM {table} u WHERE {same}"


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_no_row_of_an_append_only_table_is_changed_or_removed(full: Engine, table: str) -> None:
    is_sqlite = full.dialect.name == "sqlite"
    before = rows(full, table)

    for statement in planted_on_sqlite(table) if is_sqlite else planted_on_postgres(table):
        refused(full, statement)

    assert len(before) > 1
    assert rows(full, table) == before


def test_sqlite_refuses_also_where_triggers_may_fire_triggers(full: Engine) -> None:
    if full.dialect.name != "sqlite":
        pytest.skip("a setting of SQLite")

    for table in APPEND_ONLY:
        for statement in planted_on_sqlite(table):
            refused(full, statement, before="PRAGMA recursive_triggers = on")


@pytest.mark.postgres
def test_every_partition_of_the_journal_refuses_every_statement(full: Engine) -> None:
    if full.dialect.name == "sqlite":
        pytest.skip("SQLite has no partitions")
    url = full.url.render_as_string(hide_password=False)
    year_us = 365 * 86_400_000_000
    partitions.keep(url, retention_us=year_us, at_us=1_767_225_600_000_000 + year_us)
    before = rows(full, "entry")

    later = names(url, "entry")
    for name in later:
        for statement in planted_on_postgres("entry"):
            refused(full, statement.replace("entry", name))

    assert len(later) > 2
    assert rows(full, "entry") == before


@pytest.mark.postgres
def test_a_row_of_the_journal_is_kept_whatever_table_is_named(full: Engine) -> None:
    """A statement's own triggers are those of the table that it names; those of a row are of the partition."""
    if full.dialect.name == "sqlite":
        pytest.skip("SQLite has no partitions")

    over = (
        "CREATE TABLE over_all (LIKE entry) PARTITION BY RANGE (created_us)",
        "ALTER TABLE over_all ATTACH PARTITION entry FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
    )
    for statement in ("UPDATE over_all SET note = 'edited'", "DELETE FROM over_all"):
        with full.connect() as connection:
            for each in over:
                connection.execute(text(each))
            with pytest.raises(DBAPIError, match="is append-only"):
                connection.execute(text(statement))
            connection.rollback()


def test_an_event_gets_its_position_once_and_nothing_else(full: Engine) -> None:
    waiting = dict(
        zip(columns("event"), (0, 64, 7, 1, 77, "late", 1, "", 1, 0, 1, 1, 0, 9, None), strict=True)
    ) | {"percent": False}
    with full.connect() as connection:
        for number in (1, 2):
            connection.execute(
                insert(tables.event).values({**waiting, "period": number, "event_id": 76 + number})
            )
        whole = f"UPDATE event SET position = 900, {CHANGED['event']} = 'edited' WHERE rule_id = 7"
        for statement in [
            f"UPDATE event SET {name} = {other(tables.event, name)} WHERE rule_id = 7"
            for name in columns("event")
            if name != "position"
        ] + [whole]:
            refused_in(connection, statement)
        if full.dialect.name == "sqlite":
            taken = "(SELECT min(position) FROM event)"
            refused_in(connection, f"UPDATE OR REPLACE event SET position = {taken}")

        assert place(connection, 10) == 2
        refused_in(connection, "UPDATE event SET position = NULL WHERE rule_id = 7")
        refused_in(connection, "UPDATE event SET position = 901 WHERE rule_id = 7")
        connection.rollback()


def test_a_second_row_of_a_key_is_a_conflict_as_it_was(full: Engine) -> None:
    for table in APPEND_ONLY:
        again = text(f"INSERT INTO {table} {copied(table, {})}")
        with pytest.raises(ConflictError), store_errors(), full.begin() as connection:
            connection.execute(again)


def other(table: Table, name: str) -> str:
    """An expression for another value of a column."""
    if name == "percent":
        return "NOT percent"
    return f"{name} || 'x'" if table.c[name].type.python_type is str else f"{name} + 1"


def rows(engine: Engine, table: str) -> list[str]:
    with engine.connect() as connection:
        found: Iterable[object] = connection.execute(text(f"SELECT * FROM {table}"))
        return sorted(map(str, found))


def refused(engine: Engine, statement: str, *, before: str = "") -> None:
    """Plant a statement in a transaction of its own; it must be refused, and nothing of it stays."""
    with engine.connect() as connection:
        if before:
            connection.execute(text(before))
        refused_in(connection, statement)
        connection.rollback()


def refused_in(connection: Connection, statement: str) -> None:
    point = connection.begin_nested()
    with pytest.raises(DBAPIError, match="is append-only"):
        connection.execute(text(statement))
    if point.is_active:
        point.rollback()
