"""Opens a store for a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, text

from tollkeeper.engine.ports import LaneStore, Reader
from tollkeeper.storage.engines import create_cold_engine, parse_url
from tollkeeper.storage.faults import store_errors
from tollkeeper.storage.postgres import PostgresLane
from tollkeeper.storage.reader import SqlReader
from tollkeeper.storage.sqlite import SqliteLane

if TYPE_CHECKING:
    from tollkeeper.engine.ports import Clock

_LANES_MAX = 64

# A lane only probes indexes with arrays; on a table without statistics the planner would rather join it whole.
_LANE_SETTINGS = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    "synchronous_commit": "on",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}


class SqlStore:
    """A ledger in SQLite or PostgreSQL; see `ports.Store`."""

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        parsed = parse_url(url)
        self._postgres = parsed.get_backend_name() == "postgresql"
        self.lanes_max = _LANES_MAX if self._postgres else 1
        self._clock = clock
        self._keys: dict[str, int] = {}
        """Account keys by account id, learnt from what is committed; an account is never deleted."""
        connect_args: dict[str, Any] = {"check_same_thread": False}
        if self._postgres:
            options = " ".join(f"-c {name}={value}" for name, value in _LANE_SETTINGS.items())
            connect_args = {"options": options, "connect_timeout": 5}
        self._lane_engine = create_engine(parsed, poolclass=NullPool, connect_args=connect_args)
        self._cold_engine = create_cold_engine(url)
        self.reader: Reader = SqlReader(self._cold_engine, clock=clock)

    def lane(self) -> LaneStore:
        """Open a connection for a lane."""
        if self._postgres:
            return PostgresLane(self._lane_engine, self._keys, self._clock)
        return SqliteLane(self._lane_engine, self._keys, self._clock)

    def ping(self) -> None:
        """Raise UnavailableError unless the database answers."""
        with store_errors(), self._cold_engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self._lane_engine.dispose()
        self._cold_engine.dispose()


def open_store(url: str, *, clock: Clock | None = None) -> SqlStore:
    """Open the ledger at an SQLAlchemy URL; `clock` replaces the store's own, for tests."""
    return SqlStore(url, clock=clock)
