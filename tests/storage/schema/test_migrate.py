"""The migrations make what `tables.py` describes, once, and touch nothing that is not a ledger."""

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    create_engine,
    text,
)
from sqlalchemy.exc import DBAPIError

from tests.support.builders import LedgerBuilder
from tests.support.postgres import Postgres
from tollkeeper.engine.ports import ConflictError, SchemaError, UnavailableError
from tollkeeper.storage.connections.engines import create_cold_engine, is_sqlite, snapshot
from tollkeeper.storage.schema import migrate
from tollkeeper.storage.schema.migrate import is_current, prepare, upgrade
from tollkeeper.storage.schema.tables import metadata

# What the comparison of metadata does not see: fillfactor, order, collation, predicates.
POSTGRES_SCHEMA = (
    """
    SELECT relname, reloptions FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND NOT starts_with(relname, 'alembic')
      AND NOT relispartition AND NOT EXISTS (
          SELECT 1 FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
          WHERE i.indexrelid = pg_class.oid AND t.relispartition)
    ORDER BY relname
    """,
    """
    SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default,
           collation_name
    FROM information_schema.columns
    WHERE table_schema = 'public' AND NOT starts_with(table_name, 'alembic')
      AND NOT (SELECT relispartition FROM pg_class WHERE oid = table_name::regclass)
    ORDER BY table_name, ordinal_position
    """,
    """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND NOT starts_with(tablename, 'alembic')
      AND NOT (SELECT relispartition FROM pg_class WHERE oid = tablename::regclass)
    ORDER BY indexname
    """,
    """
    SELECT relname, pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p' ORDER BY relname
    """,
)


PARTITION_KEYS = {"reservation": "reservation_id", "entry": "created_us"}


def test_migrations_make_what_the_tables_say(engine: Engine) -> None:
    with snapshot(engine) as connection:
        options: dict[str, Any] = {"compare_type": True, "include_object": is_no_partition}
        context = MigrationContext.configure(connection, opts=options)
        expected = metadata if is_sqlite(connection) else partitioned(metadata)
        differences = cast("list[Any]", compare_metadata(context, expected))

    assert differences == []


def test_the_versions_are_known_without_alembic() -> None:
    """By the names of their files: to load Alembic at each start of a server takes a while."""
    scripts = ScriptDirectory.from_config(migrate._config())  # pyright: ignore[reportPrivateUsage]

    assert migrate._known() == {each.revision for each in scripts.walk_revisions()}  # pyright: ignore[reportPrivateUsage]
    assert migrate._newest() == scripts.get_current_head()  # pyright: ignore[reportPrivateUsage]


def test_migrations_make_the_same_text_on_sqlite(tmp_path: Path) -> None:
    migrated, made = (f"sqlite:///{tmp_path / name}" for name in ("migrated.db", "made.db"))
    upgrade(migrated)
    engine = create_cold_engine(made)
    metadata.create_all(engine)
    engine.dispose()

    assert sqlite_schema(migrated) == sqlite_schema(made)


@pytest.mark.postgres
def test_migrations_make_the_same_options_on_postgres(postgres: Postgres) -> None:
    migrated, made = postgres.create_database(), postgres.create_database()
    upgrade(migrated)
    engine = create_cold_engine(made)
    partitioned(metadata).create_all(engine)
    engine.dispose()

    for question in POSTGRES_SCHEMA:
        assert answers(migrated, question) == answers(made, question)
    assert ("account", ["fillfactor=50"]) in answers(
        migrated, "SELECT relname, reloptions FROM pg_class WHERE relname = 'account'"
    )


def test_a_new_ledger_has_the_endpoint_of_all_the_unlisted(ledger_url: str) -> None:
    assert answers(ledger_url, "SELECT * FROM endpoint") == [(1, "*", "/**")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET note = 'edited'",
        "UPDATE entry SET sequence = sequence",
        "DELETE FROM entry",
        "DELETE FROM entry WHERE kind = 1",
    ],
)
def test_the_database_refuses_to_change_the_journal(engine: Engine, statement: str) -> None:
    before = journal(engine)

    with pytest.raises(DBAPIError, match="the journal is append-only") as refused:
        run(engine, statement)

    assert statement.split(maxsplit=1)[0] in str(refused.value.orig)
    assert journal(engine) == before


@pytest.mark.postgres
def test_postgres_refuses_to_empty_the_journal(postgres: Postgres, ledger_template: str) -> None:
    engine = create_cold_engine(postgres.create_database(template=ledger_template))
    before = journal(engine)

    with pytest.raises(DBAPIError, match="append-only: TRUNCATE of table entry"):
        run(engine, "TRUNCATE entry")
    with pytest.raises(DBAPIError, match="append-only"):
        run(engine, "TRUNCATE entry CASCADE")

    assert journal(engine) == before
    engine.dispose()


def test_a_second_upgrade_does_nothing(ledger_url: str) -> None:
    before = answers(ledger_url, "SELECT * FROM alembic_version")

    upgrade(ledger_url)

    assert answers(ledger_url, "SELECT * FROM alembic_version") == before
    assert is_current(ledger_url)


def test_an_empty_database_is_not_current_until_it_is_upgraded(database_url: str) -> None:
    assert not is_current(database_url)

    upgrade(database_url)

    assert is_current(database_url)


def test_many_may_upgrade_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(upgrade, [database_url] * 4))

    assert is_current(database_url)


def test_prepare_gives_an_empty_sqlite_file_its_schema(tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing.db", tmp_path / "empty.db"
    empty.touch()

    for path in (missing, empty):
        prepare(f"sqlite:///{path}")

        assert is_current(f"sqlite:///{path}")


def test_prepare_leaves_a_current_ledger_as_it_is(engine: Engine, ledger_url: str) -> None:
    before = journal(engine)

    prepare(ledger_url)

    assert journal(engine) == before


@pytest.mark.postgres
def test_prepare_names_the_command_for_an_empty_postgres(postgres: Postgres) -> None:
    url = postgres.create_database()

    with pytest.raises(SchemaError, match="run `tollkeeper migrate`"):
        prepare(url)

    assert answers(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_ledger_of_a_newer_program_is_left_alone(ledger_url: str) -> None:
    engine = create_cold_engine(ledger_url)
    run(engine, "UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()

    assert not is_current(ledger_url)
    for bring_up in (prepare, upgrade):
        with pytest.raises(SchemaError, match="schema 9999"):
            bring_up(ledger_url)


@pytest.mark.parametrize("bring_up", [prepare, upgrade])
def test_a_foreign_sqlite_file_is_not_touched(tmp_path: Path, bring_up: Any) -> None:
    path = tmp_path / "foreign.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE account (name TEXT)")
        connection.execute("INSERT INTO account VALUES ('someone')")
    connection.close()
    before = path.read_bytes()

    assert not is_current(f"sqlite:///{path}")
    with pytest.raises(SchemaError, match="not a ledger"):
        bring_up(f"sqlite:///{path}")

    assert path.read_bytes() == before


@pytest.mark.parametrize("bring_up", [prepare, upgrade])
def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path, bring_up: Any) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)

    with pytest.raises(SchemaError):
        bring_up(f"sqlite:///{path}")

    assert path.read_text() == "Dear reader, " * 100


def test_asking_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "missing.db"

    assert not is_current(f"sqlite:///{path}")
    assert not path.exists()


@pytest.mark.postgres
def test_foreign_tables_of_the_same_names_are_left_alone(postgres: Postgres) -> None:
    url = postgres.create_database()
    engine = create_cold_engine(url)
    run(engine, "CREATE TABLE reservation (name text)")
    engine.dispose()

    with pytest.raises(SchemaError, match="reservation"):
        upgrade(url)

    question = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert answers(url, question) == [("reservation",)]


@pytest.mark.postgres
def test_a_migrator_does_not_wait_for_ever(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.create_database()
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 0.1)
    other = create_engine(url)

    with other.begin() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": migrate.ADVISORY_LOCK}
        )
        with pytest.raises(ConflictError):
            upgrade(url)

    upgrade(url)
    other.dispose()


def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    for url in (
        "postgresql+psycopg://nobody@127.0.0.1:1/nothing",
        f"sqlite:///{tmp_path / 'missing' / 'ledger.db'}",
    ):
        with pytest.raises(UnavailableError):
            upgrade(url)


def partitioned(whole: MetaData) -> MetaData:
    """The tables as PostgreSQL has them: two are partitioned, and unique only with what they are cut by."""
    copy = MetaData()
    for table in whole.sorted_tables:
        table.to_metadata(copy)
    for name, key in PARTITION_KEYS.items():
        options = cast("Any", copy.tables[name]).dialect_options["postgresql"]
        options["partition_by"], options["with"] = f"RANGE ({key})", None
    reservation, entry = copy.tables["reservation"], copy.tables["entry"]
    reservation.indexes -= {i for i in reservation.indexes if i.name == "reservation_by_request"}
    entry.columns["created_us"].primary_key = True
    entry.append_constraint(PrimaryKeyConstraint("shard", "account_key", "sequence", "created_us"))
    return copy


def is_no_partition(_: Any, name: str | None, kind: str, *rest: Any) -> bool:
    del rest
    return (
        kind != "table"
        or re.fullmatch(r"(reservation|entry)_(first|default|\d+)", name or "") is None
    )


def journal(engine: Engine) -> list[Any]:
    """Return the journal, of a ledger that is given one where it has none."""
    with engine.begin() as connection:
        rows = read_journal(connection)
        if not rows:
            ledger = LedgerBuilder()
            ledger.account("acme", credits=100)
            ledger.charge("acme", times=2)
            ledger.save(connection)
            rows = read_journal(connection)
    return rows


def read_journal(connection: Connection) -> list[Any]:
    return list(connection.execute(text("SELECT * FROM entry ORDER BY sequence")).all())


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def answers(url: str, question: str) -> list[Any]:
    engine = create_cold_engine(url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(question)]
    engine.dispose()
    return rows


def sqlite_schema(url: str) -> dict[str, str]:
    """Return the text that made each table and index, without its spacing."""
    question = "SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL"
    return {
        name: re.sub(r"\s+", " ", sql).strip()
        for name, sql in answers(url, question)
        if not name.startswith("alembic")
    }
