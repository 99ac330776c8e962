"""A lane on PostgreSQL: what a batch asks of the database, in two round trips.

READ COMMITTED: accounts are locked first, in key order, and everything else is read by later statements,
which see what was committed before the locks were won. A batch holds the price lock shared, a publication
holds it alone, so no batch runs while a price list begins to hold.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from tollkeeper.core.account import shard_of
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.usage import QUARTERS
from tollkeeper.engine.ports import ConflictError, Loaded, Needs, Writes
from tollkeeper.storage.lane import arrays
from tollkeeper.storage.lane import postgres_sql as sql
from tollkeeper.storage.lane.account_locks import AccountLocks
from tollkeeper.storage.lane.changes import CHANGES, How
from tollkeeper.storage.lane.pipeline import Answer, Pipeline
from tollkeeper.storage.read.prices import load_price_book
from tollkeeper.storage.rows import written
from tollkeeper.storage.rows.charges import POSTGRES_CHARGES, charges_of
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

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from psycopg import Connection as Driver
    from psycopg import Cursor
    from sqlalchemy import Connection

    from tollkeeper.core.account import Account
    from tollkeeper.core.grants import Grant
    from tollkeeper.core.pricing.price_lists import PriceBook
    from tollkeeper.engine.ports import Clock
    from tollkeeper.storage.connections.lane_connections import LaneConnections
    from tollkeeper.storage.lane.pipeline import Statements
    from tollkeeper.storage.lane.postgres_sql import ArrayStatement
    from tollkeeper.storage.rows.written import Row


_COUNTS = tuple(each for each in CHANGES if each.how is How.ADD and each.name.startswith("usage"))


class PostgresBatch:
    """One transaction of a lane; `finish` sends what was written, and the COMMIT, in one round trip."""

    def __init__(
        self,
        connection: Connection,
        driver: Driver[Any],
        statements: Statements,
        connections: LaneConnections,
        keys: dict[str, int],
        clock: Clock | None,
    ) -> None:
        self._connection = connection
        self._driver = driver
        self._statements = statements
        self._pipeline: Pipeline | None = None
        self._connections = connections
        self._keys = keys
        self._clock = clock
        self._writes: Writes | None = None
        self._meanwhile: Callable[[], None] | None = None

    def load(self, needs: Needs) -> Loaded:
        """Lock the accounts in key order, then read: one round trip, two where an account id is new to this server."""
        keys = self._keys_of(needs.account_ids)
        account_keys = sorted({*keys.values(), *needs.account_keys})
        requests = [(keys[r.account_id], r.digest) for r in needs.requests if r.account_id in keys]
        keyed = (arrays.ints(account_keys),)
        with self._at_once():
            if self._connections.opening is not None:
                self._execute(self._connections.opening)
            patience_ms = _PATIENCE_MS if needs.patient else _IMPATIENCE_MS
            begun = self._execute(sql.LOCK_PRICES, (patience_ms,))
            locks = AccountLocks(self._execute, needs, account_keys)
            now = self._execute(sql.NOW_AND_PRICES)
            grants = self._execute(sql.GRANTS, keyed) if account_keys else None
            closed = self._closed_grants(needs, keys)
            named = self._reservations(needs.reservations)
            repeated = self._requests(requests)
            admin = (
                self._execute(sql.ADMIN, (arrays.byteas(needs.admin_digests),))
                if needs.admin_digests
                else None
            )
            charges = self._charges(needs.charges)
        store_now_us, prices_version = now.fetchone() or (0, 0)
        now_us = self._clock() if self._clock else int(store_now_us)
        begun_us, _ = begun.fetchone() or (store_now_us, "")
        reservations = {
            (each.account_key, each.reservation_id): each
            for each in map(reservation_of, _rows(named))
        }
        by_request: dict[tuple[int, bytes], int] = {}
        for each in map(reservation_of, _rows(repeated)):
            reservations[each.account_key, each.reservation_id] = each
            by_request[each.account_key, each.request_digest] = each.reservation_id
        return Loaded(
            now_us=now_us,
            prices_version=prices_version,
            keys=keys,
            accounts=self._limited(_accounts(locks.rows(), _rows(grants), _rows(closed))),
            reservations=reservations,
            requests=by_request,
            admin={record.digest: record for record in map(admin_record_of, _rows(admin))},
            charges=charges_of(_rows(charges)),
            locked=locks.locked(),
            lock_wait_us=max(0, int(store_now_us) - int(begun_us)),
        )

    def _keys_of(self, account_ids: Iterable[str]) -> dict[str, int]:
        """Return the keys of the accounts that exist; what is not known yet is looked up, and remembered."""
        known = {name: self._keys.get(name) for name in account_ids}
        keys = {name: key for name, key in known.items() if key is not None}
        unknown = known.keys() - keys.keys()
        if unknown:
            found: list[tuple[str, int]] = self._execute(
                sql.KEYS, (arrays.texts(unknown),)
            ).fetchall()
            # Other lanes share the dictionary and may empty it as well: this batch goes by its own.
            if len(self._keys) > _KEYS_MAX:
                self._keys.clear()
            self._keys.update(found)
            keys.update(found)
        return keys

    def _reservations(self, names: Iterable[ReservationName]) -> Answer | Cursor[Any] | None:
        wanted = sorted(names)
        if not wanted:
            return None
        shards = arrays.ints([shard_of(name.account_key) for name in wanted])
        return self._execute(sql.RESERVATIONS, (shards, arrays.ints([each[1] for each in wanted])))

    def _charges(self, wanted: Iterable[tuple[int, int]]) -> Answer | Cursor[Any] | None:
        if not wanted:
            return None
        columns = zip(*((shard_of(key), key, sequence) for key, sequence in wanted), strict=True)
        return self._execute(POSTGRES_CHARGES, tuple(map(arrays.ints, columns)))

    def _closed_grants(self, needs: Needs, keys: dict[str, int]) -> Answer | Cursor[Any] | None:
        wanted = needs.all_grants_of(keys)
        if not wanted:
            return None
        shards = arrays.ints([shard_of(key) for key in wanted])
        return self._execute(sql.CLOSED_GRANTS, (shards, arrays.ints(wanted)))

    def _limited(self, accounts: dict[int, Account]) -> dict[int, Account]:
        """Return the accounts with the windows of their limits: a round trip of its own, where any has limits."""
        wanted = limits_wanted(accounts)
        if not wanted:
            return accounts
        keys = [key for key, _ in wanted]
        shards, ids = [shard_of(key) for key in keys], [each for _, each in wanted]
        rows = self._execute(sql.WINDOWS, tuple(map(arrays.ints, (shards, keys, ids))))
        return put_windows(accounts, rows.fetchall())

    def _requests(self, requests: list[tuple[int, bytes]]) -> Answer | Cursor[Any] | None:
        if not requests:
            return None
        keys, digests = zip(*requests, strict=True)
        return self._execute(sql.REQUESTS, (arrays.ints(keys), arrays.byteas(digests)))

    def overdue(self, account_keys: Iterable[int], now_us: int) -> list[Reservation]:
        """Return the overdue HELD reservations of locked accounts."""
        keys = sorted(account_keys)
        shards = arrays.ints([shard_of(key) for key in keys])
        rows = self._execute(sql.OVERDUE, (shards, arrays.ints(keys), now_us)).fetchall()
        return [reservation_of(row) for row in rows]

    def price_book(self, now_us: int, known: PriceBook | None = None) -> PriceBook:
        """Return the lists in force and to come."""
        return load_price_book(self._connection, now_us, known)

    def write(self, writes: Writes, meanwhile: Callable[[], None] | None = None) -> None:
        """Keep what is to be written for `finish`."""
        self._writes = writes
        self._meanwhile = meanwhile

    def finish(self) -> None:
        """Write and commit; returns once it is durable. Where nothing was written, nothing has to be."""
        self._connections.watch.ask(self._driver)  # the decisions took time too
        with self._at_once() as pipeline:
            if self._writes is None or self._writes.may_be_lost:
                # Not a rollback: the driver would forget its prepared statements.
                self._execute(sql.NOBODY_WAITS)
            if self._writes is not None:
                self._send(self._writes)
            pipeline.command(sql.COMMIT)
            if self._meanwhile is not None:
                pipeline.send()
                self._meanwhile()

    def _send(self, writes: Writes) -> None:
        for change in CHANGES:
            otherwise = self._OTHERWISE.get(change.name)
            if otherwise is not None:
                otherwise(self, writes)
            elif rows := change.rows(writes):
                self._run(sql.STATEMENTS[change.name], rows)

    def _hold(self, writes: Writes) -> None:
        """Insert reservations that are HELD, with their holds, and then those that have ended already."""
        held = [each for each in writes.new_reservations if each.state is ReservationState.HELD]
        self._run(sql.HOLD, list(map(written.reservation_row, held)))
        if len(held) < len(writes.new_reservations):
            ended = (e for e in writes.new_reservations if e.state is not ReservationState.HELD)
            inserting = sql.STATEMENTS["new_reservations"]
            self._run(inserting, list(map(written.reservation_row, ended)))

    def _count(self, writes: Writes) -> None:
        """Add to the counters: in one statement where all are of one quarter of an hour, as nearly always."""
        quarters = {at for _, at, *_ in writes.usage}
        if len(quarters) == 1:
            quarter = quarters.pop() % QUARTERS
            counting = sql.COUNT[quarter]
            rows = written.usage_hour_rows(writes.usage, quarter)
            hour: int = rows[0][2]
            literals = sql.literals(rows, counting.encoders)
            self._execute(counting.statement, (*literals, hour // 24, hour))
            return
        for change in _COUNTS:
            self._run(sql.STATEMENTS[change.name], change.rows(writes))

    def _move_out(self, writes: Writes) -> None:
        """Delete what has ended as it was read, or raise ConflictError; the locks are waited for."""
        moved = writes.moved_out
        if not moved:
            return
        accounts = sorted({each.account_key for each in moved})
        shards = arrays.ints([shard_of(key) for key in accounts])
        columns = zip(*map(written.ended_row, moved), strict=True)
        self._execute(sql.ONLY_LOCK_ACCOUNTS, (shards, arrays.ints(accounts)))
        deleted = self._execute(sql.DELETE_ENDED, tuple(map(arrays.ints, columns))).fetchone()
        if deleted != (len(moved),):
            raise ConflictError(
                "a reservation that was to be moved out is gone, or ended otherwise"
            )

    def _nothing(self, _: Writes) -> None:
        """Another exception has done it."""

    _OTHERWISE: ClassVar[Mapping[str, Callable[[Any, Writes], None]]] = {
        "new_reservations": _hold,
        "new_holds": _nothing,
        **dict.fromkeys((each.name for each in _COUNTS), _nothing),
        _COUNTS[0].name: _count,
        "moved_out_reservations": _move_out,
    }
    """What PostgreSQL writes otherwise than by the statement of its change."""

    def _run(self, prepared: ArrayStatement, rows: Sequence[Row]) -> None:
        if rows:
            self._execute(prepared.statement, sql.literals(rows, prepared.encoders))

    def _execute(self, statement: bytes, parameters: Sequence[Any] = ()) -> Answer | Cursor[Any]:
        if self._pipeline is not None:
            return self._pipeline.execute(statement, parameters)
        return self._driver.execute(statement, parameters or None, binary=True)

    @contextmanager
    def _at_once(self) -> Generator[Pipeline]:
        """Send what is executed in a block together; at its end all answers are there."""
        with Pipeline(self._driver, self._statements) as pipeline:
            self._pipeline = pipeline
            try:
                yield pipeline
            finally:
                self._pipeline = None


_KEYS_MAX = 200_000

_PATIENCE_MS = "500"
"""How long a batch waits for a lock of an account: other servers' batches give theirs back within that."""

_IMPATIENCE_MS = "50"
"""The same once that was in vain: who holds it is no batch."""


def _rows(cursor: Answer | Cursor[Any] | None) -> list[Row]:
    return [] if cursor is None else cursor.fetchall()


def _accounts(
    account_rows: list[Row], grant_rows: list[Row], closed_rows: list[Row]
) -> dict[int, Account]:
    grants: dict[int, list[Grant]] = {}
    for row in grant_rows:
        grants.setdefault(row[1], []).append(grant_of(row))
    add_closed(grants, closed_rows)
    return {row[1]: account_of(row, tuple(grants.get(row[1], ()))) for row in account_rows}
