"""Opens a store for a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import NullPool, create_engine, event

from tollkeeper.engine.ports import LaneStore, Reader
from tollkeeper.engine.token_ports import TokenStore
from tollkeeper.engine.webhook_ports import WebhookStore
from tollkeeper.storage.access.tokens import SqlTokens
from tollkeeper.storage.connections.answer_watch import ANSWER_WITHIN_S, AnswerWatch
from tollkeeper.storage.connections.engines import create_cold_engine, dated_snapshot
from tollkeeper.storage.connections.faults import store_errors
from tollkeeper.storage.connections.lane_connections import LaneConnections
from tollkeeper.storage.connections.ledger_files import LedgerFiles, files_of
from tollkeeper.storage.connections.urls import parse_address
from tollkeeper.storage.lane.postgres_lane import PostgresLane
from tollkeeper.storage.lane.sqlite_lane import SqliteLane
from tollkeeper.storage.read.backlog import load_backlog
from tollkeeper.storage.reader import SqlReader
from tollkeeper.storage.webhooks.webhooks import SqlWebhooks

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

    from tollkeeper.engine.counts import Backlog
    from tollkeeper.engine.ports import Clock

_LANES_MAX = 64


class SqlStore:
    """A ledger in SQLite or PostgreSQL; see `ports.Store`."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        watch: AnswerWatch,
        files: LedgerFiles | None = None,
    ) -> None:
        address = parse_address(url)
        self.watch = watch
        """What looks after every connection of this store; others may share it."""
        self.lanes_max = _LANES_MAX if address.on_postgres else 1
        self._clock = clock
        self._keys: dict[str, int] = {}
        """Account keys by account id, learnt from committed rows; an account is never deleted."""
        self._files = files or (LedgerFiles() if address.on_postgres else files_of(address.url))
        self._postgres = LaneConnections(address, watch) if address.on_postgres else None
        self._sqlite = None if address.on_postgres else _sqlite_engine(address.url, self._files)
        self._cold_engine = create_cold_engine(url, watch=watch, files=self._files)
        self.reader: Reader = SqlReader(self._cold_engine, clock=clock)
        self._webhooks = SqlWebhooks(url, clock=clock, watch=watch, files=self._files)
        self.webhooks: WebhookStore = self._webhooks
        self._tokens = SqlTokens(url, clock=clock, watch=watch, files=self._files)
        self.tokens: TokenStore = self._tokens

    def lane(self) -> LaneStore:
        """Open a connection for a lane."""
        if self._postgres is not None:
            return PostgresLane(self._postgres, self._keys, self._clock)
        assert self._sqlite is not None  # noqa: S101 - it is one of the two
        return SqliteLane(self._sqlite, self._keys, self._clock, self._files)

    def backlog(self) -> Backlog:
        """Return what waits in the ledger, for metrics. Raises UnavailableError."""
        with dated_snapshot(self._cold_engine, self._clock) as (connection, now_us):
            return load_backlog(connection, now_us)

    def check(self, *, warn: bool = True) -> None:
        """Connect as a lane does, and `warn` of what makes an acknowledgement less than durable.

        Raises UnavailableError where that cannot be, or the connection has not what a lane relies on.
        """
        if self._postgres is not None:
            with store_errors():
                self._postgres.check(warn=warn)

    def close(self) -> None:
        """Close every connection."""
        self.watch.abort()
        if self._postgres is not None:
            self._postgres.close()
        if self._sqlite is not None:
            self._sqlite.dispose()
        self._cold_engine.dispose()
        self._webhooks.close()
        self._tokens.close()
        self.watch.close()

    def abort(self) -> None:
        """Close every connection that PostgreSQL has not answered on, now and from now on."""
        self.watch.abort()


def _sqlite_engine(url: URL, files: LedgerFiles) -> Engine:
    engine = create_engine(url, poolclass=NullPool, connect_args={"check_same_thread": False})
    event.listen(engine, "do_connect", files.open_no_other)
    return engine


def open_store(
    url: str,
    *,
    clock: Clock | None = None,
    answer_within_s: float = ANSWER_WITHIN_S,
    files: LedgerFiles | None = None,
) -> SqlStore:
    """Open the ledger at an SQLAlchemy URL; `clock` replaces the store's own, for tests.

    A connection on which PostgreSQL does not answer within `answer_within_s` is closed. On SQLite, what is opened are
    these `files` and no others, or else the one that is there now.
    """
    return SqlStore(url, clock=clock, watch=AnswerWatch(answer_within_s), files=files)
