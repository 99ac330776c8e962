"""A lane on SQLite: the ledger in one file, with one writer.

WAL, synchronous FULL and BEGIN IMMEDIATE: an answer is on the disk and a batch never has to be upgraded. A look-up
is one statement for a batch (`json_each`), a write an executemany; SQLAlchemy's own measured half as fast.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from tollkeeper.core.reservation import Reservation, ReservationName
from tollkeeper.engine.ports import Due, Ended, Loaded, Needs, WindowKey, Writes
from tollkeeper.storage.connections.engines import machine_clock_us
from tollkeeper.storage.connections.faults import store_errors
from tollkeeper.storage.lane import sqlite_aging as aging
from tollkeeper.storage.lane.changes import CHANGES
from tollkeeper.storage.lane.publication import SqlPublication
from tollkeeper.storage.lane.sqlite_sql import columns, statement
from tollkeeper.storage.read.events import place
from tollkeeper.storage.read.prices import load_price_book
from tollkeeper.storage.rows.charges import SQLITE_CHARGES, charges_of
from tollkeeper.storage.rows.hot import (
    account_of,
    add_closed,
    admin_record_of,
    grant_of,
    reservation_of,
)
from tollkeeper.storage.rows.limits import (
    limits_wanted,
    put_windows,
)
from tollkeeper.storage.schema import tables
from tollkeeper.storage.schema.shards import shard_sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Iterable, Sequence

    from sqlalchemy import Connection, Engine

    from tollkeeper.core.account import Account
    from tollkeeper.core.grants import Grant
    from tollkeeper.core.pricing.price_lists import PriceBook
    from tollkeeper.engine.ports import Clock
    from tollkeeper.storage.connections.ledger_files import LedgerFiles
    from tollkeeper.storage.rows.written import Row

_PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -65536",
    # A checkpoint every 10,000 pages instead of 1,000: measured a tenth more throughput.
    "PRAGMA wal_autocheckpoint = 10000",
)
_KEYS_MAX = 200_000
_FIRST = "json_extract(u.value, '$[0]')"
_RESERVATION = ", ".join(f"t.{name}" for name in tables.RESERVATION_READ_BY_LANES)

# CROSS JOIN holds SQLite to the order written: the array first, then one index probe for each element.
_KEYS = (
    "SELECT t.account_id, t.key FROM json_each(?) u CROSS JOIN account t "
    "WHERE t.account_id = u.value"
)
_ACCOUNTS = (
    f"SELECT {columns(tables.account, 't.')} FROM json_each(?) u CROSS JOIN account t "
    f"WHERE t.shard = {shard_sql('u.value')} AND t.key = u.value"
)
_GRANTS = (
    f"SELECT {columns(tables.credit_grant, 't.')} FROM json_each(?) u CROSS JOIN credit_grant t "
    f"WHERE t.shard = {shard_sql('u.value')} AND t.account_key = u.value AND t.open "
    "ORDER BY t.account_key, t.priority, t.expires_us, t.created_us, t.grant_id"
)
_CLOSED_GRANTS = (
    f"SELECT {columns(tables.credit_grant, 't.')} FROM json_each(?) u CROSS JOIN credit_grant t "
    f"WHERE t.shard = {shard_sql('u.value')} AND t.account_key = u.value AND NOT t.open"
)
_WINDOWS = (
    f"SELECT {columns(tables.limit_window, 't.')} FROM json_each(?) u CROSS JOIN limit_window t "
    f"WHERE t.shard = {shard_sql(_FIRST)} "
    "AND t.account_key = json_extract(u.value, '$[0]') "
    "AND t.limit_id = json_extract(u.value, '$[1]') "
    "AND t.start_us = (SELECT max(w.start_us) FROM limit_window w WHERE w.shard = t.shard "
    "AND w.account_key = t.account_key AND w.limit_id = t.limit_id)"
)
_RESERVATIONS = (
    f"SELECT {_RESERVATION} FROM json_each(?) u CROSS JOIN reservation t "
    f"WHERE t.shard = {shard_sql(_FIRST)} "
    "AND t.reservation_id = json_extract(u.value, '$[1]')"
)
_REQUESTS = (
    f"SELECT {_RESERVATION} FROM json_each(?) u CROSS JOIN reservation t "
    "WHERE t.account_key = json_extract(u.value, '$[0]') "
    "AND t.request_digest = from_hex(json_extract(u.value, '$[1]'))"
)
_ADMIN = (
    "SELECT t.digest, t.method, t.content, t.result, t.created_us FROM json_each(?) u "
    "CROSS JOIN admin_request t WHERE t.digest = from_hex(u.value)"
)
_PRICES_VERSION = "SELECT coalesce(max(version), 0) FROM price_list"
_OVERDUE = (
    f"SELECT {_RESERVATION} FROM json_each(?) u CROSS JOIN hold h "
    "CROSS JOIN reservation t "
    f"WHERE h.shard = {shard_sql('u.value')} AND h.expires_us <= ? AND h.account_key = u.value "
    "AND t.shard = h.shard AND t.reservation_id = h.reservation_id "
    "ORDER BY t.expires_us, t.reservation_id"
)
_DUE_HOLDS = (
    "SELECT h.account_key, h.reservation_id FROM json_each(?) u CROSS JOIN hold h "
    "WHERE h.shard = u.value AND h.expires_us <= ? LIMIT ?"
)
_DUE_GRANTS = (
    "SELECT DISTINCT g.account_key FROM json_each(?) u CROSS JOIN credit_grant g "
    f"WHERE g.shard = u.value AND {tables.IS_OPEN_AND_EXPIRES} AND g.expires_us <= ? "
    "AND g.remaining > 0 LIMIT ?"
)
_EVENT_WAITS = "SELECT 1 FROM event WHERE position IS NULL LIMIT 1"
_DUE_PERIODS = (
    "SELECT a.key FROM json_each(?) u CROSS JOIN account a "
    "WHERE a.shard = u.value AND a.next_grant_us > 0 AND a.next_grant_us <= ? LIMIT ?"
)
_STATEMENTS = {change.name: statement(change) for change in CHANGES}


class SqliteBatch:
    """One transaction of the writer."""

    def __init__(
        self,
        connection: Connection,
        driver: sqlite3.Connection,
        keys: dict[str, int],
        clock: Clock,
        lock_wait_us: int,
    ) -> None:
        self._connection = connection
        self._driver = driver
        self._keys = keys
        self._clock = clock
        self._lock_wait_us = lock_wait_us
        self.written = False

    def load(self, needs: Needs) -> Loaded:
        """Read everything; the writer's lock is held already."""
        now_us = self._clock()
        keys = self._keys_of(needs.account_ids)
        account_keys = json.dumps(sorted({*keys.values(), *needs.account_keys}))
        requests = [
            (keys[each.account_id], each.digest.hex())
            for each in needs.requests
            if each.account_id in keys
        ]
        grants: dict[int, list[Grant]] = {}
        for row in self._rows(_GRANTS, account_keys):
            grants.setdefault(row[1], []).append(grant_of(row))
        if wanted := needs.all_grants_of(keys):
            add_closed(grants, self._rows(_CLOSED_GRANTS, json.dumps(wanted)))
        reservations = {
            (row[2], row[1]): reservation_of(row)
            for row in self._rows(_RESERVATIONS, json.dumps(sorted(needs.reservations)))
        }
        by_request: dict[tuple[int, bytes], int] = {}
        for row in self._rows(_REQUESTS, json.dumps(requests)):
            each = reservation_of(row)
            reservations[each.account_key, each.reservation_id] = each
            by_request[each.account_key, each.request_digest] = each.reservation_id
        digests = json.dumps([digest.hex() for digest in needs.admin_digests])
        return Loaded(
            now_us=now_us,
            prices_version=self._driver.execute(_PRICES_VERSION).fetchone()[0],
            keys=keys,
            accounts=self._limited(
                {
                    row[1]: account_of(row, tuple(grants.get(row[1], ())))
                    for row in self._rows(_ACCOUNTS, account_keys)
                }
            ),
            reservations=reservations,
            requests=by_request,
            admin={each.digest: each for each in map(admin_record_of, self._rows(_ADMIN, digests))},
            charges=charges_of(self._rows(SQLITE_CHARGES, json.dumps(sorted(needs.charges)))),
            lock_wait_us=self._lock_wait_us,
        )

    def _limited(self, accounts: dict[int, Account]) -> dict[int, Account]:
        """Return the accounts with the windows of their limits."""
        wanted = limits_wanted(accounts)
        if not wanted:
            return accounts
        return put_windows(accounts, self._rows(_WINDOWS, json.dumps(wanted)))

    def _keys_of(self, account_ids: Iterable[str]) -> dict[str, int]:
        """Return the keys of the accounts that exist; what is not known yet is looked up, and remembered."""
        keys = {name: self._keys[name] for name in account_ids if name in self._keys}
        unknown = [name for name in account_ids if name not in keys]
        if unknown:
            names = json.dumps(unknown)
            found: list[tuple[str, int]] = self._driver.execute(_KEYS, (names,)).fetchall()
            if len(self._keys) > _KEYS_MAX:
                self._keys.clear()
            self._keys.update(found)
            keys.update(found)
        return keys

    def _rows(self, sql: str, array: str) -> list[Row]:
        return [] if array == "[]" else self._driver.execute(sql, (array,)).fetchall()

    def overdue(self, account_keys: Iterable[int], now_us: int) -> list[Reservation]:
        """Return the overdue HELD reservations of these accounts."""
        parameters = (json.dumps(sorted(account_keys)), now_us)
        return [reservation_of(row) for row in self._driver.execute(_OVERDUE, parameters)]

    def price_book(self, now_us: int, known: PriceBook | None = None) -> PriceBook:
        """Return the lists in force and to come."""
        return load_price_book(self._connection, now_us, known)

    def write(self, writes: Writes, meanwhile: Callable[[], None] | None = None) -> None:
        """Write what has changed."""
        del meanwhile  # the database is in this process
        self.written = True
        for change in CHANGES:
            if rows := change.rows(writes):
                self._driver.executemany(_STATEMENTS[change.name], rows)


class SqliteLane:
    """The writer's connection."""

    def __init__(
        self, engine: Engine, keys: dict[str, int], clock: Clock | None, files: LedgerFiles
    ) -> None:
        self._engine = engine
        self._files = files
        self._keys = keys
        self._clock = clock or machine_clock_us
        self._connection: Connection | None = None
        self._lock_wait_us = 0
        """How long the last transaction waited for the lock."""

    @contextmanager
    def batch(self) -> Generator[SqliteBatch]:
        """Open a batch; see `ports.LaneStore`."""
        with self._transaction() as (connection, driver):
            batch = SqliteBatch(connection, driver, self._keys, self._clock, self._lock_wait_us)
            yield batch
            if not batch.written:
                driver.execute("ROLLBACK")

    @contextmanager
    def publication(self) -> Generator[SqlPublication]:
        """Open the transaction of a PublishPrices."""
        with self._transaction() as (connection, _):
            yield SqlPublication(connection, self._clock())

    def due(self, shards: Sequence[int], limit: int) -> Due:
        """Return what is overdue in these shards."""
        parameters = (json.dumps(list(shards)), self._clock(), limit)
        with store_errors():
            _, driver = self._connected()
            holds = driver.execute(_DUE_HOLDS, parameters).fetchall()
            accounts = {row[0] for row in driver.execute(_DUE_GRANTS, parameters)}
            begun = {row[0] for row in driver.execute(_DUE_PERIODS, parameters)}
        return Due([ReservationName(*row) for row in holds], sorted(accounts | begun))

    def place_events(self, limit: int) -> int:
        """Number events; see `ports.LaneStore`."""
        with store_errors():
            _, driver = self._connected()
            if driver.execute(_EVENT_WAITS).fetchone() is None:
                return 0
        with self._transaction() as (connection, _):
            return place(connection, limit)

    def oldest(self, shards: Sequence[int]) -> tuple[int, int | None]:
        """Return the time, and the least reservation id of these shards."""
        with store_errors():
            return self._clock(), aging.oldest(self._connected()[1], shards)

    def aged(self, shards: Sequence[int], first: int, end: int, limit: int) -> list[Ended]:
        """Return reservations by their ids."""
        with store_errors():
            return aging.aged(self._connected()[1], shards, first, end, limit)

    def forget_windows(
        self, shards: Sequence[int], after: WindowKey, began_before_us: int, limit: int
    ) -> WindowKey | None:
        """Delete windows that are not needed; SQLite's one lane has all the shards."""
        del shards
        with self._transaction() as (_, driver):
            return aging.forget_windows(driver, after, began_before_us, limit)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> tuple[Connection, sqlite3.Connection]:
        if self._connection is None:
            self._connection = self._connect()
        driver = cast("sqlite3.Connection", self._connection.connection.driver_connection)
        return self._connection, driver

    def _connect(self) -> Connection:
        """Open the connection with everything that it needs, or not at all."""
        connection = self._engine.connect()
        try:
            driver = cast("Any", connection.connection.driver_connection)
            driver.isolation_level = None
            for pragma in _PRAGMAS:
                driver.execute(pragma)
            driver.create_function("from_hex", 1, bytes.fromhex, deterministic=True)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _transaction(self) -> Generator[tuple[Connection, sqlite3.Connection]]:
        """Begin, and commit at the end of a block that has not rolled back. Raises LostError, see `LedgerFiles`."""
        with store_errors():
            connection, driver = self._connected()
            begun_s = perf_counter()
            driver.execute("BEGIN IMMEDIATE")
            self._lock_wait_us = int((perf_counter() - begun_s) * 1_000_000)
            try:
                self._files.check()
                yield connection, driver
                if driver.in_transaction:
                    driver.execute("COMMIT")
            except BaseException:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")
                raise
            self._files.check()
