"""The bare script on SQLite: the statements of the writer and nothing else, in batches of 1,000.

As on PostgreSQL (`bare_postgres.py`): no engine and no core, 1,000 Authorize and then 1,000 Commit of as many accounts
that are all in one state. Rows are made within the measured time, by `zip` of columns that are mostly one value; what
is read becomes tuples, since SQLite's driver reads nothing otherwise. Ids, digests and the clock are those of a lane.
"""

from __future__ import annotations

import json
import time
from hashlib import blake2b
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

from tests.bench.bare.state import HOLD_US, PRICE, State, request_ids, state_of
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import DAY_US, HOUR_US, QUARTER_US, QUARTERS, UsageKind
from tollkeeper.engine.ids import least_id
from tollkeeper.storage.lane import sqlite_lane as lane
from tollkeeper.storage.lane.sqlite_sql import add, insert, update
from tollkeeper.storage.rows import written
from tollkeeper.storage.schema import tables
from tollkeeper.storage.store import open_store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

_ACCOUNTS = lane._ACCOUNTS  # pyright: ignore[reportPrivateUsage]
_GRANTS = lane._GRANTS  # pyright: ignore[reportPrivateUsage]
_REQUESTS = lane._REQUESTS  # pyright: ignore[reportPrivateUsage]
_RESERVATIONS = lane._RESERVATIONS  # pyright: ignore[reportPrivateUsage]
_PRICES_VERSION = lane._PRICES_VERSION  # pyright: ignore[reportPrivateUsage]
_END_HOLDS = lane._END_HOLDS  # pyright: ignore[reportPrivateUsage]


def pairs_per_second(url: str, *, seconds: float, warm_up_s: float, run: str) -> float:
    """Return how many pairs the script completes in a second, on a ledger that nothing else writes to."""
    state = state_of(url)
    store = open_store(url)
    writer = cast("lane.SqliteLane", store.lane())
    try:
        _, driver = writer._connected()  # pyright: ignore[reportPrivateUsage]
        script = _Script(driver, state)
        script.work(warm_up_s, f"{run}-warm")
        begun = time.perf_counter()
        pairs = script.work(seconds, run)
        return pairs / (time.perf_counter() - begun)
    finally:
        writer.close()
        store.close()


class _Script:
    def __init__(self, driver: sqlite3.Connection, state: State) -> None:
        self._driver = driver
        self._state = state
        self._size = len(state.keys)
        self._shards = [key & 63 for key in state.keys]
        self._in_json = json.dumps(list(state.keys))
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
        state = self._state
        digests = [blake2b(each.encode(), digest_size=16).digest() for each in requests]
        asked = [(key, digest.hex()) for key, digest in zip(state.keys, digests, strict=True)]
        now_us, version = self._read(_REQUESTS, json.dumps(asked), expected=0)
        self._last_id = max(self._last_id + 1, least_id(now_us))
        made = range(self._last_id, self._last_id + self._size)
        self._last_id = made[-1]
        state.hold()
        reservation = {
            "shard": self._shards,
            "reservation_id": made,
            "account_key": state.keys,
            "request_digest": digests,
            "grant_id": state.grants,
            "request_id": requests,
            **_all(
                endpoint_id=state.endpoint_id,
                method="GET",
                path="/v1/leads",
                credits=PRICE,
                price_version=version,
                charge_on=None,
                slices=None,
                state=int(ReservationState.HELD),
                outcome=0,
                late=False,
                created_us=now_us,
                expires_us=now_us + HOLD_US,
                hold_us=0,
                settled_us=0,
                refunded=0,
                windows=None,
                http_status=0,
                settled_by="",
                charge_sequence=0,
                authorized_by="",
            ),
        }
        self._run(insert(tables.reservation), tables.reservation.columns.keys(), reservation)
        self._run(insert(tables.hold), tables.hold.columns.keys(), reservation)
        self._write_accounts()
        self._driver.execute("COMMIT")
        return made, now_us + HOLD_US

    def _settle(self, made: range, expires_us: int) -> None:
        """Commit what was authorized."""
        state = self._state
        named = json.dumps(list(zip(state.keys, made, strict=True)))
        now_us, version = self._read(_RESERVATIONS, named, expected=self._size)
        state.charge()
        settled = {
            "shard": self._shards,
            "reservation_id": made,
            "grant_id": state.grants,
            **_all(
                slices=None,
                state=int(ReservationState.COMMITTED),
                outcome=int(Outcome.VALID_RESPONSE),
                late=False,
                settled_us=now_us,
                refunded=0,
                http_status=200,
                settled_by="",
                charge_sequence=state.sequence,
            ),
        }
        entry = {
            "shard": self._shards,
            "account_key": state.keys,
            "reservation_id": made,
            **_all(
                sequence=state.sequence,
                kind=int(EntryKind.CHARGE),
                credits=-PRICE,
                settled=state.settled,
                created_us=now_us,
                grant_id=0,
                endpoint_id=state.endpoint_id,
                price_version=version,
                note=None,
            ),
        }
        usage = {
            "shard": self._shards,
            "account_key": state.keys,
            **_all(
                hour=now_us // HOUR_US,
                day=now_us // DAY_US,
                endpoint_id=state.endpoint_id,
                kind=int(UsageKind.CHARGED),
                requests=1,
                credits=PRICE,
            ),
        }
        self._update(tables.reservation, written.RESERVATION_UPDATE, settled)
        ended = zip(self._shards, repeat(expires_us), made)
        self._driver.executemany(_END_HOLDS, ended)
        self._run(insert(tables.entry), tables.entry.columns.keys(), entry)
        quarter = written.COUNTED_TOO[now_us // QUARTER_US % QUARTERS]
        for table, more in ((tables.usage_hour, quarter), (tables.usage_day, {})):
            self._run(add(table, more), written.ADDED_TO[table.name], usage)
        self._write_accounts()
        self._driver.execute("COMMIT")

    def _read(self, statement: str, array: str, *, expected: int) -> tuple[int, int]:
        """Begin and read as the writer does; return the time and the version of the price list."""
        driver = self._driver
        driver.execute("BEGIN IMMEDIATE")
        grants = driver.execute(_GRANTS, (self._in_json,)).fetchall()
        found = driver.execute(statement, (array,)).fetchall()
        (version,) = driver.execute(_PRICES_VERSION).fetchone()
        accounts = driver.execute(_ACCOUNTS, (self._in_json,)).fetchall()
        counts = (len(accounts), len(grants), len(found))
        if counts != (self._size, self._size, expected):
            raise SystemExit(f"rows that were not expected: {counts}")
        return lane.machine_clock_us(), version

    def _write_accounts(self) -> None:
        state = self._state
        account = {
            "shard": self._shards,
            "key": state.keys,
            **_all(
                display_name="",
                state=state.account_state,
                credit_limit=0,
                settled=state.settled,
                held=state.held,
                charged=state.charged,
                sequence=state.sequence,
            ),
        }
        grant = {
            "shard": self._shards,
            "account_key": state.keys,
            "grant_id": state.grants,
            **_all(
                remaining=state.remaining,
                held=state.held,
                consumed=state.charged,
                expired=0,
                voided=0,
                open=True,
                void=False,
            ),
        }
        self._update(tables.account, written.ACCOUNT_UPDATE, account)
        self._update(tables.credit_grant, written.GRANT_UPDATE, grant)

    def _update(
        self,
        table: Any,
        names: tuple[tuple[str, ...], tuple[str, ...]],
        columns: Mapping[str, Iterable[Any]],
    ) -> None:
        self._run(update(table, *names), (*names[0], *names[1]), columns)

    def _run(
        self, statement: str, names: Sequence[str], columns: Mapping[str, Iterable[Any]]
    ) -> None:
        # Not all of the columns end: those that are one value in all rows go on.
        rows = zip(*[columns[name] for name in names], strict=False)
        self._driver.executemany(statement, rows)


def _all(**columns: object) -> dict[str, Iterable[object]]:
    return {name: repeat(value) for name, value in columns.items()}
