"""A lane on PostgreSQL: its connection, its batches, and what it does besides."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tollkeeper.core.reservation import ReservationName
from tollkeeper.engine.ports import Due, Ended, WindowKey
from tollkeeper.storage.connections.faults import store_errors
from tollkeeper.storage.lane import arrays
from tollkeeper.storage.lane import postgres_sql as sql
from tollkeeper.storage.lane.pipeline import Statements
from tollkeeper.storage.lane.postgres_batch import PostgresBatch
from tollkeeper.storage.lane.publication import SqlPublication
from tollkeeper.storage.read.events import place
from tollkeeper.storage.rows.hot import ended_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from psycopg import Connection as Driver
    from sqlalchemy import Connection

    from tollkeeper.engine.ports import Clock
    from tollkeeper.storage.connections.lane_connections import LaneConnections


class PostgresLane:
    """A lane's connection. One that fails is thrown away, and the next batch opens another."""

    def __init__(
        self, connections: LaneConnections, keys: dict[str, int], clock: Clock | None
    ) -> None:
        self._connections = connections
        self._keys = keys
        self._clock = clock
        self._opened: tuple[Connection, Driver[Any]] | None = None
        self._statements: Statements | None = None
        """Those of the connection that is open."""

    @contextmanager
    def batch(self) -> Generator[PostgresBatch]:
        """Open a batch; see `ports.LaneStore`."""
        with self._connected() as (connection, driver):
            if self._statements is None:
                self._statements = Statements(driver)
            batch = PostgresBatch(
                connection, driver, self._statements, self._connections, self._keys, self._clock
            )
            yield batch
            batch.finish()

    @contextmanager
    def publication(self) -> Generator[SqlPublication]:
        """Open the transaction of a PublishPrices, alone with the price lists."""
        with self._transaction() as (connection, driver):
            driver.execute(sql.LOCK_PRICES_ALONE)
            yield SqlPublication(connection, self._now_us(driver))
            driver.commit()

    def due(self, shards: Sequence[int], limit: int) -> Due:
        """Return what is overdue in these shards."""
        with self._transaction() as (_, driver):
            now_us = self._now_us(driver)
            parameters = (arrays.ints(shards), now_us, limit, limit)
            holds = driver.execute(sql.DUE_HOLDS, parameters).fetchall()
            accounts = {row[0] for row in driver.execute(sql.DUE_GRANTS, parameters)}
            begun = {row[0] for row in driver.execute(sql.DUE_PERIODS, parameters)}
            driver.commit()  # a rollback would make the driver forget its prepared statements
        return Due([ReservationName(*row) for row in holds], sorted(accounts | begun))

    def place_events(self, limit: int) -> int:
        """Number events; see `ports.LaneStore`."""
        with self._transaction() as (connection, driver):
            placed = place(connection, limit)
            driver.commit()
        return placed

    def oldest(self, shards: Sequence[int]) -> tuple[int, int | None]:
        """Return the time, and the least reservation id of these shards."""
        with self._transaction() as (_, driver):
            row = driver.execute(sql.OLDEST, (arrays.ints(shards),)).fetchone()
            driver.commit()
        now_us, found = row or (0, None)
        return self._clock() if self._clock else int(now_us), found

    def aged(self, shards: Sequence[int], first: int, end: int, limit: int) -> list[Ended]:
        """Return reservations by their ids."""
        with self._transaction() as (_, driver):
            rows = driver.execute(sql.AGED, (arrays.ints(shards), first, end, limit)).fetchall()
            driver.commit()
        return list(map(ended_of, rows))

    def forget_windows(
        self, shards: Sequence[int], after: WindowKey, began_before_us: int, limit: int
    ) -> WindowKey | None:
        """Delete windows that are not needed."""
        with self._transaction() as (_, driver):
            parameters = (arrays.ints(shards), began_before_us, *after, limit)
            rows = driver.execute(sql.WINDOWS_AFTER, parameters).fetchall()
            if unneeded := [row[:4] for row in rows if row[4]]:
                keys = map(arrays.ints, zip(*unneeded, strict=True))
                driver.execute(sql.FORGET_WINDOWS, tuple(keys))
            driver.commit()
        return WindowKey(*rows[-1][:4]) if len(rows) == limit else None

    def close(self) -> None:
        """Give the connection back."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _now_us(self, driver: Driver[Any]) -> int:
        if self._clock:
            return self._clock()
        row = driver.execute(sql.NOW).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _transaction(self) -> Generator[tuple[Connection, Driver[Any]]]:
        with self._connected() as (connection, driver):
            if self._connections.opening is not None:
                driver.execute(self._connections.opening)
            yield connection, driver

    @contextmanager
    def _connected(self) -> Generator[tuple[Connection, Driver[Any]]]:
        """Give the connection to a block that the database must answer in time."""
        watch = self._connections.watch
        with store_errors():
            if self._opened is None:
                self._opened = self._connections.open()
                self._statements = None
            connection, driver = self._opened
            watch.ask(driver)
            try:
                yield connection, driver
            except BaseException:
                self._discard(connection, driver)
                raise
            finally:
                watch.answered(driver)

    def _discard(self, connection: Connection, driver: Driver[Any]) -> None:
        try:
            driver.rollback()
            if self._statements is not None:
                self._statements.forget(driver)
        except Exception:  # noqa: BLE001 - it is broken; a new one is opened
            self._opened = None
            self._connections.watch.answered(driver)  # before its socket is anybody's
            connection.invalidate()
            connection.close()
