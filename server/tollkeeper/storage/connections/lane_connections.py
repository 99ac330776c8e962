"""How a lane is connected to PostgreSQL: with which settings, and that it has got them.

"Acknowledged means durable" and "decided under the account's lock" hold by settings of the session. They are asked for
when it connects, and then looked at: what stands in between may drop them without a word. Behind a pooler that gives
each transaction another session, they are set in each transaction instead, and nothing is prepared.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import psycopg
from sqlalchemy import NullPool, create_engine, event

from tollkeeper.engine.ports import UnavailableError
from tollkeeper.storage.connections.faults import POOLER_HINT

if TYPE_CHECKING:
    from psycopg import Connection as Driver
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

    from tollkeeper.storage.connections.answer_watch import AnswerWatch
    from tollkeeper.storage.connections.urls import Address

log = logging.getLogger(__name__)

# A lane only probes indexes with arrays; on a table without statistics the planner would rather join it whole.
SETTINGS = {
    "synchronous_commit": "on",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    "lock_timeout": "2000",  # milliseconds, as all that follow; a batch waits less for an account
}

_ISOLATION = "default_transaction_isolation"

_STATEMENT_SHARE = 0.9
"""Of the time that the database has to answer."""

# A network that is gone without a word is noticed after about ten seconds, not after the system's quarter of an hour.
_KEEPALIVE = {
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}

CONNECT_TIMEOUT_S = 3
"""Short: an attempt that was begun while the database said nothing still holds it up when it is back."""

_FOUND = b"SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"

_OF_THE_SERVER = {"fsync": "on", "full_page_writes": "on"}


class LaneConnections:
    """Opens the connections of lanes. `opening` is what each transaction begins with, where it has to."""

    def __init__(self, address: Address, watch: AnswerWatch) -> None:
        self.watch = watch
        self.pooled = address.pooled
        self._settings = SETTINGS | {
            "statement_timeout": statement_timeout_ms(watch),
            # A lane that has gone, and could not say so, does not keep its accounts locked.
            "idle_in_transaction_session_timeout": str(int(watch.within_s * 1_000)),
        }
        self.opening = set_locally(self._settings) if self.pooled else None
        self._engine = create_engine(
            address.url, poolclass=NullPool, connect_args=self._arguments(address.url)
        )
        # First of all: the dialect asks questions of its own when it is connected.
        event.listen(self._engine, "connect", self._connected, insert=True)

    def _connected(self, driver: Driver[Any], _: object) -> None:
        self.watch.ask(driver)

    def open(self) -> tuple[Connection, Driver[Any]]:
        """Connect. Raises UnavailableError, which names it, where the connection has not what it must have."""
        connection = self._engine.connect()
        driver = cast("Driver[Any]", connection.connection.driver_connection)
        self.watch.ask(driver)
        try:
            if self.pooled:
                driver.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            self._check(driver)
        except BaseException:
            self.watch.answered(driver)  # before its socket is anybody's
            connection.invalidate()
            connection.close()
            raise
        self.watch.answered(driver)
        return connection, driver

    def check(self, *, warn: bool) -> None:
        """Connect once; `warn` of what of the server makes an acknowledgement less than durable. Raises as `open`."""
        connection, driver = self.open()
        try:
            values = dict(driver.execute(_FOUND, (list(_OF_THE_SERVER),)).fetchall())
        finally:
            connection.close()
        for name, wanted in _OF_THE_SERVER.items():
            if warn and values.get(name, wanted) != wanted:
                log.warning(
                    "PostgreSQL has %s=%s: a crash of its machine can lose what was acknowledged",
                    name,
                    values[name],
                )

    def close(self) -> None:
        """Give back what the engine holds."""
        self._engine.dispose()

    def _arguments(self, url: URL) -> dict[str, Any]:
        """Return how to connect: as the URL says, and where it says nothing of it, as is good for a lane."""
        arguments: dict[str, Any] = connect_arguments(url)
        if self.pooled:
            return arguments | {"prepare_threshold": None}
        settings = {**self._settings, _ISOLATION: r"read\ committed"}
        # Of two that say something of one setting, the later one holds.
        return arguments | {"options": options_of(url, settings)}

    def _check(self, driver: Driver[Any]) -> None:
        """Raise UnavailableError unless the session, or a transaction of it, is as a lane relies on."""
        wanted = {
            **self._settings,
            "transaction_isolation": "read committed",
            "transaction_read_only": "off",
            "session_replication_role": "origin",
            "client_encoding": "UTF8",
        }
        if self.opening is not None:
            driver.execute(self.opening)
        values: dict[str, str] = dict(driver.execute(_FOUND, (list(wanted),)).fetchall())
        driver.rollback()
        wrong = [name for name, value in wanted.items() if values.get(name) != value]
        if wrong:
            told = ", ".join(f"{each}={values.get(each)} (not {wanted[each]})" for each in wrong)
            hint = f"; {POOLER_HINT}" if wrong[0] in self._settings else ""
            raise UnavailableError(f"the connection has {told}{hint}")


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return the options that every connection is opened with, except those that the URL sets itself."""
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "tollkeeper"}
    return {
        name: value for name, value in (arguments | _KEEPALIVE).items() if name not in url.query
    }


def statement_timeout_ms(watch: AnswerWatch) -> str:
    """Return when the database is to end a statement itself: before its connection is given up."""
    return str(int(watch.within_s * 1_000 * _STATEMENT_SHARE))


def options_of(url: URL, settings: dict[str, str]) -> str:
    """Return libpq's `options`: those of the URL, and then our settings."""
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else [*given]
    return " ".join([*options, *(f"-c {name}={value}" for name, value in settings.items())])


def set_locally(settings: dict[str, str]) -> bytes:
    """Return the one statement that sets all of them for the rest of its transaction."""
    each = [f"set_config('{name}', '{value}', true)" for name, value in settings.items()]
    return f"SELECT {', '.join(each)}".encode()
