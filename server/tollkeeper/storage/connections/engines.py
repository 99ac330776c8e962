"""Opens databases for what is not hot: reads, migrations, verify. Lanes connect by themselves.

A snapshot sees the ledger as of one instant, takes no lock that a lane waits for, and cannot write.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, cast, create_engine, event, extract, func, select

from tollkeeper.storage.connections.faults import store_errors
from tollkeeper.storage.connections.lane_connections import (
    connect_arguments,
    options_of,
    set_locally,
    statement_timeout_ms,
)
from tollkeeper.storage.connections.ledger_files import LedgerFiles
from tollkeeper.storage.connections.urls import parse_address
from tollkeeper.storage.connections.watched_pool import watch_over

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import URL

    from tollkeeper.engine.ports import Clock
    from tollkeeper.storage.connections.answer_watch import AnswerWatch
    from tollkeeper.storage.connections.urls import Address

BUSY_TIMEOUT_S = 10
POOL_SIZE = 5
POOL_OVERFLOW_MAX = 10

_BEGIN = "tollkeeper_begin"
"""The execution option that says how a SQLite transaction begins."""


def is_sqlite(engine: Engine | Connection) -> bool:
    """Say which of the two databases this is."""
    return engine.dialect.name == "sqlite"


def create_cold_engine(
    url: str, *, watch: AnswerWatch | None = None, files: LedgerFiles | None = None
) -> Engine:
    """Open a pool of connections. Raises ValueError for a URL that cannot be a ledger's.

    On PostgreSQL, `watch` closes a connection on which it does not answer in time; without it, work may take as long
    as it takes. On SQLite, connections go to these `files` alone, where they are given.
    """
    address = parse_address(url)
    if not address.on_postgres:
        return _create_sqlite_engine(address.url, files)
    return _create_postgres_engine(address, watch)


def _create_postgres_engine(address: Address, watch: AnswerWatch | None) -> Engine:
    settings = {} if watch is None else {"statement_timeout": statement_timeout_ms(watch)}
    arguments = connect_arguments(address.url)
    if address.pooled:
        arguments["prepare_threshold"] = None
    elif settings:
        arguments["options"] = options_of(address.url, settings)
    engine = create_engine(
        address.url,
        # A read after the database was restarted asks for a new connection instead of failing.
        pool_pre_ping=watch is None,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW_MAX,
        connect_args=arguments,
    )
    if watch is not None:
        watch_over(engine, watch)
    if address.pooled and settings:
        statement = set_locally(settings).decode()

        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(statement)

        event.listen(engine, "begin", begin)
    return engine


def _create_sqlite_engine(url: URL, files: LedgerFiles | None) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW_MAX,
        # The driver's own idea of when to begin is switched off: it would begin too late to be a
        # snapshot. `timeout` is SQLite's busy_timeout.
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S},
    )

    watched = files or LedgerFiles()

    def begin(connection: Connection) -> None:
        watched.check()
        mode: str = connection.get_execution_options().get(_BEGIN, "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    def check(connection: Connection) -> None:
        del connection
        watched.check()

    if files is not None:
        event.listen(engine, "do_connect", files.open_no_other)
    event.listen(engine, "begin", begin)
    event.listen(engine, "commit", check)
    return engine


_PAST_LANES = (
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET LOCAL lock_timeout = '10s'",
    "SET LOCAL statement_timeout = '30s'",
    "SET LOCAL synchronous_commit = 'on'",
)


@contextmanager
def snapshot(engine: Engine) -> Generator[Connection]:
    """Open a read-only transaction that sees one instant, which is over before the block begins.

    Every write acknowledged before the call is in it. Errors of the database are StoreErrors.
    """
    with dated_snapshot(engine) as (connection, _):
        yield connection


@contextmanager
def dated_snapshot(engine: Engine, clock: Clock | None = None) -> Generator[tuple[Connection, int]]:
    """Open a snapshot, and tell its time: PostgreSQL answers it in the statement that the snapshot begins with."""
    with store_errors(), engine.connect() as connection:
        if is_sqlite(connection):
            with connection.begin():
                connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").all()
                yield connection, now_us(connection, clock)
        else:
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin():
                at_us = now_us(connection)
                yield connection, clock() if clock else at_us


@contextmanager
def exclusive(engine: Engine) -> Generator[Connection]:
    """Open a transaction that, on SQLite, no other writer runs beside."""
    with store_errors(), engine.connect() as connection:
        options: dict[str, Any] = {_BEGIN: "IMMEDIATE"}
        connection.execution_options(**options)
        with connection.begin():
            yield connection


@contextmanager
def begin_past_lanes(
    engine: Engine, clock: Clock | None = None
) -> Generator[tuple[Connection, int]]:
    """Open a transaction that changes what no account has, and tell its time."""
    with exclusive(engine) as connection:
        if not is_sqlite(connection):
            connection.exec_driver_sql("; ".join(_PAST_LANES))
        yield connection, now_us(connection, clock)


def machine_clock_us() -> int:
    """Return the machine's time: the clock of a ledger that is a file on it."""
    return time.time_ns() // 1_000


def now_us(connection: Connection, clock: Clock | None = None) -> int:
    """Return the time of the store's clock: `clock`, PostgreSQL's own, or else this machine's."""
    if clock is not None:
        return clock()
    if is_sqlite(connection):
        return machine_clock_us()
    epoch_s = extract("epoch", func.clock_timestamp())
    return connection.execute(select(cast(epoch_s * 1_000_000, BigInteger))).scalar_one()
