"""The bare script on PostgreSQL: the statements of a lane and nothing else, in batches of 1,000.

No engine, no core, no rows made of values: psycopg's pipeline mode over a lane's own connection, 1,000 Authorize and
then 1,000 Commit of as many accounts, all of which stay in one and the same state, so that most of a statement's
arrays are one text for all rows. All arrays are written within the measured time but those of the accounts' keys, which
never change. Rows that are read are counted and not turned into Python's values. What is left is what PostgreSQL and
its driver can do; the ledger is sound afterwards.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tests.bench.bare.state import HOLD_US, PRICE, State, request_ids, state_of
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import DAY_US, HOUR_US, QUARTER_US, QUARTERS, UsageKind
from tollkeeper.engine.ids import least_id
from tollkeeper.storage.lane import arrays
from tollkeeper.storage.lane import postgres_sql as sql
from tollkeeper.storage.rows import written
from tollkeeper.storage.schema import tables
from tollkeeper.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import Connection, Cursor

    from tollkeeper.storage.lane.postgres_lane import PostgresLane
    from tollkeeper.storage.lane.postgres_sql import ArrayStatement


class _Keys(NamedTuple):
    """The accounts' keys as arrays."""

    shards: str
    keys: str
    grants: str


def pairs_per_second(url: str, *, seconds: float, warm_up_s: float, run: str) -> float:
    """Return how many pairs the script completes in a second, on a ledger that nothing else writes to."""
    store = open_store(url)
    try:
        lane = cast("PostgresLane", store.lane())
        with lane._connected() as (_, driver):  # pyright: ignore[reportPrivateUsage]
            script = _Script(driver, state_of(url))
            script.work(warm_up_s, f"{run}-warm")
            begun = time.perf_counter()
            pairs = script.work(seconds, run)
            return pairs / (time.perf_counter() - begun)
    finally:
        store.close()


class _Script:
    def __init__(self, driver: Connection[Any], state: State) -> None:
        self._driver = driver
        self._state = state
        self._size = len(state.keys)
        self._arrays = _Keys(
            arrays.ints([key & 63 for key in state.keys]),
            arrays.ints(state.keys),
            arrays.ints(state.grants),
        )
        self._last_id = 0

    def work(self, seconds: float, run: str) -> int:
        """Work for some seconds; return the pairs."""
        begun, turn = time.perf_counter(), 0
        while not turn or time.perf_counter() < begun + seconds:
            self._settle(*self._hold(request_ids(run, turn, self._size)))
            turn += 1
        return turn * self._size

    def _hold(self, requests: Sequence[str]) -> tuple[range, int]:
        """Authorize once for each account; return the reservations' ids and their deadline."""
        _, keys, grants = self._arrays
        digests = [blake2b(each.encode(), digest_size=16).digest() for each in requests]
        repeated = (keys, arrays.byteas(digests))
        now_us, version = self._read(sql.REQUESTS, repeated, expected=0)
        self._last_id = max(self._last_id + 1, least_id(now_us))
        made = range(self._last_id, self._last_id + self._size)
        self._last_id = made[-1]
        self._state.hold()
        state = self._state
        reservation = {
            "reservation_id": arrays.ints(made),
            "account_key": keys,
            "request_digest": arrays.byteas(digests),
            "grant_id": grants,
            "request_id": arrays.every_text(requests),
            **self._all(
                endpoint_id=state.endpoint_id,
                method="GET",
                path="/v1/leads",
                credits=PRICE,
                price_version=version,
                charge_on="NULL",
                slices="NULL",
                created_us=now_us,
                expires_us=now_us + HOLD_US,
                hold_us=0,
                windows="NULL",
                authorized_by='""',
            ),
        }
        with self._driver.pipeline():
            self._run(sql.HOLD, tables.reservation.columns.keys(), reservation)
            self._write_accounts()
            self._driver.commit()
        return made, now_us + HOLD_US

    def _settle(self, made: range, expires_us: int) -> None:
        """Commit what was authorized."""
        shards, keys, _ = self._arrays
        ids = arrays.ints(made)
        now_us, version = self._read(sql.RESERVATIONS, (shards, ids), expected=self._size)
        self._state.charge()
        state = self._state
        settled = {
            "shard": shards,
            "reservation_id": ids,
            **self._all(
                state=int(ReservationState.COMMITTED),
                outcome=int(Outcome.VALID_RESPONSE),
                late="f",
                settled_us=now_us,
                http_status=200,
                settled_by='""',
                charge_sequence=state.sequence,
            ),
        }
        entry = {
            "account_key": keys,
            "reservation_id": ids,
            **self._all(
                sequence=state.sequence,
                kind=int(EntryKind.CHARGE),
                credits=-PRICE,
                settled=state.settled,
                created_us=now_us,
                grant_id=0,
                endpoint_id=state.endpoint_id,
                price_version=version,
                note="NULL",
            ),
        }
        usage = {
            "account_key": keys,
            **self._all(
                endpoint_id=state.endpoint_id,
                kind=int(UsageKind.CHARGED),
                requests=1,
                credits=PRICE,
            ),
        }
        with self._driver.pipeline():
            self._run(sql.UPDATE_RESERVATIONS, _names(written.RESERVATION_UPDATE), settled)
            self._execute(sql.END_HOLDS, (shards, self._same(expires_us), ids))
            self._run(sql.INSERTS["entry"], tables.entry.columns.keys(), entry)
            bucket = (now_us // DAY_US, now_us // HOUR_US)
            count = sql.COUNT[now_us // QUARTER_US % QUARTERS]
            self._run(count, written.ADDED_TO["usage_hour"], usage, bucket)
            self._write_accounts()
            self._driver.commit()

    def _read(
        self, statement: bytes, parameters: Sequence[str], *, expected: int
    ) -> tuple[int, int]:
        """Lock and read as a lane does; return the time and the version of the price list."""
        keyed = (self._arrays.keys,)
        with self._driver.pipeline():
            self._execute(sql.LOCK_PRICES, ("500",))
            accounts = self._execute(sql.LOCK_ACCOUNTS, keyed)
            grants = self._execute(sql.GRANTS, keyed)
            found = self._execute(statement, parameters)
            now = self._execute(sql.NOW_AND_PRICES)
        counts = (accounts.rowcount, grants.rowcount, found.rowcount)
        if counts != (self._size, self._size, expected):
            raise SystemExit(f"rows that were not expected: {counts}")
        now_us, version = now.fetchone() or (0, 0)
        return int(now_us), int(version)

    def _write_accounts(self) -> None:
        _, keys, grants = self._arrays
        state = self._state
        account = {
            "key": keys,
            **self._all(
                settled=state.settled,
                held=state.held,
                charged=state.charged,
                sequence=state.sequence,
            ),
        }
        grant = {
            "account_key": keys,
            "grant_id": grants,
            **self._all(
                remaining=state.remaining,
                held=state.held,
                consumed=state.charged,
                open="t",
            ),
        }
        self._run(sql.UPDATE_ACCOUNTS, _names(written.ACCOUNT_UPDATE), account)
        self._run(sql.UPDATE_GRANTS, _names(written.GRANT_UPDATE), grant)

    def _run(
        self,
        plan: ArrayStatement,
        names: Sequence[str],
        columns: Mapping[str, str],
        others: Sequence[int] = (),
    ) -> None:
        encoders = zip(names, plan.encoders, strict=True)
        arrays = [columns[name] for name, encoder in encoders if encoder is not None]
        self._execute(plan.statement, [*arrays, *others])

    def _all(self, **columns: object) -> dict[str, str]:
        return {name: self._same(value) for name, value in columns.items()}

    def _same(self, value: object) -> str:
        """Write an array that has one value in all rows."""
        text = str(value)
        return "{" + f"{text}," * (self._size - 1) + text + "}"

    def _execute(self, statement: bytes, parameters: Sequence[Any] = ()) -> Cursor[Any]:
        return self._driver.execute(statement, parameters or None)


def _names(update: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[str, ...]:
    return (*update[0], *update[1])
