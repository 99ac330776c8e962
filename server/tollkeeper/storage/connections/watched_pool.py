"""Has an `AnswerWatch` look after the connections of a pool: from when one is taken out until it is given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError

if TYPE_CHECKING:
    from psycopg import Connection as Driver
    from sqlalchemy import Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from tollkeeper.storage.connections.answer_watch import AnswerWatch

PING_WITHIN_S = 3.0
"""How long a connection that lay in the pool may take to show that it is alive."""

_FRESH = "tollkeeper_fresh"


def watch_over(engine: Engine, watch: AnswerWatch) -> None:
    """Close a connection of this engine on which the database does not answer in time.

    One that lay in the pool is asked first whether it is alive, for a shorter time; if it is not, all that lie there
    are opened anew.
    """
    watched = _Watched(engine, watch)
    # First of all: the dialect asks questions of its own when it is connected.
    event.listen(engine, "connect", watched.connected, insert=True)
    event.listen(engine, "checkout", watched.taken_out)
    for name in ("checkin", "invalidate", "close", "close_detached"):
        event.listen(engine, name, watched.given_back)
    for name in ("before_cursor_execute", "commit", "rollback"):
        event.listen(engine, name, watched.asked)


class _Watched:
    def __init__(self, engine: Engine, watch: AnswerWatch) -> None:
        self._dialect = engine.dialect
        self._watch = watch

    def connected(self, driver: Driver[Any], entry: ConnectionPoolEntry) -> None:
        entry.info[_FRESH] = True
        self._watch.ask(driver)

    def taken_out(
        self, driver: Driver[Any], entry: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        if not entry.info.pop(_FRESH, False):
            self._watch.ask(driver, within_s=min(PING_WITHIN_S, self._watch.within_s))
            try:
                self._dialect.do_ping(driver)  # pyright: ignore[reportArgumentType] -- it is the driver's own
            except psycopg.Error as error:
                self._watch.answered(driver)
                raise InvalidatePoolError from error
        self._watch.ask(driver)

    def given_back(self, driver: Driver[Any] | None, *_: object) -> None:
        if driver is not None:
            self._watch.answered(driver)

    def asked(self, connection: Connection, *_: object) -> None:
        driver = connection.connection.driver_connection
        if driver is not None:
            self._watch.ask(driver)
