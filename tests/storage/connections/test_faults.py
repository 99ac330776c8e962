"""What a database's error means to the engine, told from real errors where they can be had."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, exc, text

from tests.support.postgres import Postgres
from tollkeeper.engine.ports import (
    ConflictError,
    LockedError,
    SchemaError,
    StoreError,
    UnavailableError,
)
from tollkeeper.engine.unavailable import FullError
from tollkeeper.storage.connections.engines import create_cold_engine, exclusive
from tollkeeper.storage.connections.faults import store_errors, translate

NEW_ACCOUNT = text(
    "INSERT INTO account (shard, key, account_id, display_name, state, credit_limit, settled, held,"
    " charged, sequence, created_us) VALUES (0, 64, 'acme', '', 1, 0, 0, 0, 0, 0, 0)"
)


@pytest.mark.parametrize(
    ("sqlstate", "meaning"),
    [
        ("40001", ConflictError),  # serialization failure
        ("40P01", ConflictError),  # deadlock
        ("55P03", LockedError),  # lock timeout
        ("23505", ConflictError),  # unique violation
        ("40003", UnavailableError),  # completion unknown
        ("08006", UnavailableError),  # connection failure
        ("57P01", UnavailableError),  # admin shutdown
        ("57P03", UnavailableError),  # cannot connect now
        ("57014", UnavailableError),  # statement timeout
        ("53100", FullError),  # disk full
        ("53300", UnavailableError),  # too many connections
        ("25006", UnavailableError),  # read-only: a standby
        ("58030", UnavailableError),  # I/O error
        ("42P01", SchemaError),  # undefined table
        ("42703", SchemaError),  # undefined column
        ("42601", StoreError),  # syntax error: ours
        ("22003", StoreError),  # number out of range: ours
        ("XX000", StoreError),  # internal error
    ],
)
def test_a_sqlstate_has_a_meaning(sqlstate: str, meaning: type[StoreError]) -> None:
    error = psycopg.errors.lookup(sqlstate)("it went wrong")

    assert type(translate(error)) is meaning
    assert type(translate(exc.OperationalError("SELECT 1", {}, error))) is meaning


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (psycopg.OperationalError("server closed the connection"), UnavailableError),
        (psycopg.InterfaceError("the connection is closed"), UnavailableError),
        (psycopg.errors.PipelineAborted("pipeline aborted"), ConflictError),
        (psycopg.DataError("bytes that are no text"), StoreError),
        (exc.TimeoutError("no connection is free"), UnavailableError),
        (exc.PendingRollbackError("connection was invalidated"), UnavailableError),
        (exc.ResourceClosedError("this connection is closed"), UnavailableError),
        (exc.ArgumentError("a mistake of ours"), StoreError),
    ],
)
def test_an_error_without_a_state_has_a_meaning(
    error: Exception, meaning: type[StoreError]
) -> None:
    assert type(translate(error)) is meaning


def test_a_row_that_another_has_made_is_a_conflict(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(NEW_ACCOUNT)

    with pytest.raises(ConflictError), store_errors(), engine.begin() as connection:
        connection.execute(NEW_ACCOUNT)


def test_a_missing_table_is_a_matter_of_the_schema(engine: Engine) -> None:
    for statement in ("SELECT * FROM no_such", "SELECT no_such FROM account"):
        with pytest.raises(SchemaError), store_errors(), engine.connect() as connection:
            connection.execute(text(statement))


def test_a_refused_change_of_the_journal_is_nothing_to_repeat(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO entry VALUES (0, 64, 1, 1, 5, 5, 0, 0, 0, 0, 0, NULL)")
        )

    with pytest.raises(StoreError) as raised, store_errors(), engine.begin() as connection:
        connection.execute(text("DELETE FROM entry"))

    assert type(raised.value) is StoreError


def test_a_message_has_neither_statement_nor_parameters(engine: Engine) -> None:
    with pytest.raises(SchemaError) as raised, store_errors(), engine.connect() as connection:
        connection.execute(text("SELECT * FROM no_such WHERE a = :b"), {"b": "secret"})

    assert "SELECT" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_what_is_not_the_databases_passes() -> None:
    with pytest.raises(KeyError), store_errors():
        raise KeyError("ours")
    with pytest.raises(ConflictError, match="already told"), store_errors():
        raise ConflictError("already told")


@pytest.mark.postgres
def test_a_session_that_an_operator_ended_is_unavailable_once(
    postgres: Postgres, ledger_template: str
) -> None:
    engine = create_cold_engine(postgres.create_database(template=ledger_template))
    with engine.connect() as victim, engine.connect() as operator:
        pid = victim.execute(text("SELECT pg_backend_pid()")).scalar_one()
        operator.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

        with pytest.raises(UnavailableError), store_errors():
            victim.execute(text("SELECT 1"))

    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_unavailable() -> None:
    engine = create_cold_engine("postgresql+psycopg://postgres@127.0.0.1:1/nothing")

    with pytest.raises(UnavailableError), store_errors(), engine.connect():
        pass


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_unavailable(postgres: Postgres) -> None:
    engine = create_cold_engine(postgres.create_database() + "_not")

    with pytest.raises(UnavailableError), store_errors(), engine.connect():
        pass
    engine.dispose()


def test_a_locked_sqlite_file_is_a_conflict(sqlite_copy: Path) -> None:
    holder = create_cold_engine(f"sqlite:///{sqlite_copy}")
    waiter = create_engine(
        f"sqlite:///{sqlite_copy}", connect_args={"timeout": 0, "isolation_level": None}
    )

    with exclusive(holder), pytest.raises(ConflictError), store_errors():
        run(waiter, "BEGIN IMMEDIATE")

    holder.dispose()
    waiter.dispose()


def read_only(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = on")
    connection.execute("CREATE TABLE t (a)")


def full(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 1")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (zeroblob(100000))")


def closed(connection: sqlite3.Connection) -> None:
    connection.close()
    connection.execute("SELECT 1")


@pytest.mark.parametrize("fail", [read_only, full, closed])
def test_a_sqlite_file_that_cannot_be_written_is_unavailable(
    tmp_path: Path, fail: Callable[[sqlite3.Connection], None]
) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")

    with pytest.raises(UnavailableError), store_errors():
        fail(connection)

    connection.close()


def test_a_sqlite_file_in_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError), store_errors():
        sqlite3.connect(tmp_path / "missing" / "a.db")


def run(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
