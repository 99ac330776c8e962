"""Opens a store for a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, event, text

from tollkeeper.engine.ports import LaneStore, Reader
from tollkeeper.engine.webhook_ports import WebhookStore
from tollkeeper.storage.engines import create_cold_engine, parse_url
from tollkeeper.storage.faults import store_errors
from tollkeeper.storage.ledger_files import LedgerFiles, files_of
from tollkeeper.storage.postgres import PostgresLane
from tollkeeper.storage.reader import SqlReader
from tollkeeper.storage.sqlite import SqliteLane
from tollkeeper.storage.webhooks import SqlWebhooks

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

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
    # Reads after the locks see what was committed before the locks were won, whatever the database's default.
    "default_transaction_isolation": r"read\ committed",
}

# A network that is gone without a word is noticed after about ten seconds, not after the system's quarter of an hour.
_LANE_CONNECTION = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


class SqlStore:
    """A ledger in SQLite or PostgreSQL; see `ports.Store`."""

    def __init__(
        self, url: str, *, clock: Clock | None = None, files: LedgerFiles | None = None
    ) -> None:
        parsed = parse_url(url)
        self._postgres = parsed.get_backend_name() == "postgresql"
        self._files = files or (LedgerFiles() if self._postgres else files_of(parsed))
        self.lanes_max = _LANES_MAX if self._postgres else 1
        self._clock = clock
        self._keys: dict[str, int] = {}
        """Account keys by account id, learnt from what is committed; an account is never deleted."""
        arguments = _postgres_arguments(parsed) if self._postgres else {"check_same_thread": False}
        self._lane_engine = create_engine(parsed, poolclass=NullPool, connect_args=arguments)
        if not self._postgres:
            event.listen(self._lane_engine, "do_connect", self._files.open_no_other)
        self._cold_engine = create_cold_engine(url, self._files)
        self.reader: Reader = SqlReader(self._cold_engine, clock=clock)
        self._webhooks = SqlWebhooks(url, clock=clock, files=self._files)
        self.webhooks: WebhookStore = self._webhooks

    def lane(self) -> LaneStore:
        """Open a connection for a lane."""
        if self._postgres:
            return PostgresLane(self._lane_engine, self._keys, self._clock)
        return SqliteLane(self._lane_engine, self._keys, self._clock, self._files)

    def ping(self) -> None:
        """Raise UnavailableError unless the database answers."""
        with store_errors(), self._cold_engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self._lane_engine.dispose()
        self._cold_engine.dispose()
        self._webhooks.close()


def _postgres_arguments(url: URL) -> dict[str, Any]:
    """Return how a lane connects: as the URL says, and where it says nothing of it, as is good for a lane."""
    settings = [f"-c {name}={value}" for name, value in _LANE_SETTINGS.items()]
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else given
    # Of two that say something of one setting, the later one holds.
    arguments: dict[str, Any] = {
        name: value for name, value in _LANE_CONNECTION.items() if name not in url.query
    }
    return {**arguments, "options": " ".join([*options, *settings])}


def open_store(
    url: str, *, clock: Clock | None = None, files: LedgerFiles | None = None
) -> SqlStore:
    """Open the ledger at an SQLAlchemy URL; `clock` replaces the store's own, for tests.

    On SQLite, what is opened are these `files` and no others, or else the one that is there now.
    """
    return SqlStore(url, clock=clock, files=files)
