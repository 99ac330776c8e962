"""Fills a ledger with a past, by statements over sets: charges as the engine would have left them, hours ago.

`verify` accepts every row. The times lie within the retention, so that nothing is moved out while it is measured.
One form of each statement serves both databases, but for numbers in a row and what stands for a request_id's digest.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from tests.bench.bare.state import PRICE
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import DAY_US, HOUR_US, UsageKind
from tollkeeper.engine.ids import least_id
from tollkeeper.storage.connections.engines import create_cold_engine, is_sqlite

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sqlalchemy import Connection, CursorResult, Engine

SPAN_US = 6 * DAY_US
"""The time before this hour over which charges are spread evenly."""

IDS_OF_A_LANE = 4_096

ROWS_AT_ONCE = 500_000
"""Charges of one transaction, so that no temporary file or log grows with the whole."""

_SERIES = {
    True: "WITH RECURSIVE g(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM g WHERE n + 1 < :end) ",
    False: "WITH g(n) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:end AS bigint) - 1)) ",
}
_DIGEST = {True: "randomblob(16)", False: "decode(md5('fill-' || g.n), 'hex')"}

# The n-th charge falls upon the account n modulo their number, as its (n / number)-th.
_RESERVATIONS = """
INSERT INTO reservation (shard, reservation_id, account_key, request_digest, endpoint_id, method,
    path, credits, price_version, charge_on, grant_id, slices, state, outcome, late, created_us,
    expires_us, hold_us, settled_us, refunded, windows, http_status, settled_by, charge_sequence,
    request_id, authorized_by)
{series}
SELECT f.shard, :first_id + g.n * :step_us / 1000 * 4194304 + g.n % 4096, f.key, {digest},
    e.endpoint_id, e.method, e.path, {price}, e.version, NULL, f.grant_id, NULL, {committed},
    {valid}, false, :start_us + g.n * :step_us, :start_us + g.n * :step_us + 60000000, 0,
    :start_us + g.n * :step_us, 0, NULL, 200, '', f.sequence + 1 + g.n / :accounts,
    '', ''
FROM g JOIN bench_filled f ON f.ordinal = g.n % :accounts
    JOIN bench_priced e ON e.position = g.n / :accounts % :endpoints
"""
_ENTRIES = """
INSERT INTO entry (shard, account_key, sequence, kind, credits, settled, created_us,
    reservation_id, grant_id, endpoint_id, price_version, note)
{series}
SELECT f.shard, f.key, f.sequence + 1 + g.n / :accounts, {charge}, -{price},
    f.settled - {price} * (1 + g.n / :accounts), :start_us + g.n * :step_us,
    :first_id + g.n * :step_us / 1000 * 4194304 + g.n % 4096, 0, e.endpoint_id, e.version, NULL
FROM g JOIN bench_filled f ON f.ordinal = g.n % :accounts
    JOIN bench_priced e ON e.position = g.n / :accounts % :endpoints
"""
_HOURS = """
INSERT INTO usage_hour (shard, account_key, hour, endpoint_id, kind, requests, credits)
SELECT en.shard, en.account_key, en.created_us / {hour_us}, en.endpoint_id, {charged}, count(*),
    -sum(en.credits)
FROM entry en JOIN bench_filled f ON f.shard = en.shard AND f.key = en.account_key
WHERE en.kind = {charge} AND en.sequence > f.sequence
GROUP BY en.shard, en.account_key, en.created_us / {hour_us}, en.endpoint_id
"""
_DAYS = """
INSERT INTO usage_day (shard, account_key, day, endpoint_id, kind, requests, credits)
SELECT h.shard, h.account_key, h.hour / 24, h.endpoint_id, h.kind, sum(h.requests), sum(h.credits)
FROM usage_hour h JOIN bench_filled f ON f.shard = h.shard AND f.key = h.account_key
GROUP BY h.shard, h.account_key, h.hour / 24, h.endpoint_id, h.kind
"""
_ACCOUNTS = """
UPDATE account SET settled = settled - {price} * :each, charged = charged + {price} * :each,
    sequence = sequence + :each
WHERE EXISTS (SELECT 1 FROM bench_filled f WHERE f.shard = account.shard AND f.key = account.key)
"""
_GRANTS = """
UPDATE credit_grant SET remaining = remaining - {price} * :each,
    consumed = consumed + {price} * :each
WHERE EXISTS (SELECT 1 FROM bench_filled f
    WHERE f.shard = credit_grant.shard AND f.key = credit_grant.account_key)
"""
_FILLED = """
CREATE TABLE bench_filled AS
SELECT row_number() OVER (ORDER BY a.account_id) - 1 AS ordinal, a.shard, a.key, a.settled,
    a.sequence, g.grant_id
FROM account a JOIN credit_grant g ON g.shard = a.shard AND g.account_key = a.key
WHERE {which}
"""
_PRICED = """
CREATE TABLE bench_priced AS
SELECT row_number() OVER (ORDER BY e.endpoint_id) - 1 AS position, e.endpoint_id, e.method, e.path,
    p.version
FROM endpoint e JOIN price p ON p.endpoint_id = e.endpoint_id WHERE p.credits = {price}
"""


def charge(url: str, accounts: Sequence[str] | None, *, each: int, lane: int = 0) -> None:
    """Charge these accounts, or all, as often as that; none may have been charged before, and each has one grant.

    `lane`: another one for each filling of one ledger, as two lanes never make the same reservation's id.
    """
    engine = create_cold_engine(url)
    try:
        _charge(engine, accounts, each, lane)
    finally:
        engine.dispose()


def _charge(engine: Engine, accounts: Sequence[str] | None, each: int, lane: int) -> None:
    forms = {
        "series": _SERIES[is_sqlite(engine)],
        "digest": _DIGEST[is_sqlite(engine)],
        "price": PRICE,
        "committed": int(ReservationState.COMMITTED),
        "valid": int(Outcome.VALID_RESPONSE),
        "charge": int(EntryKind.CHARGE),
        "charged": int(UsageKind.CHARGED),
        "hour_us": HOUR_US,
        "which": "1 = 1" if accounts is None else f"a.account_id IN ({_quoted(accounts)})",
    }

    def run(connection: Connection, statement: str, **numbers: int) -> CursorResult[Any]:
        return connection.execute(text(statement.format_map(forms)), numbers)

    with _unhurried(engine) as connection:
        run(connection, _FILLED)
        run(connection, "CREATE UNIQUE INDEX bench_filled_ordinal ON bench_filled (ordinal)")
        run(connection, _PRICED)
        found = int(run(connection, "SELECT count(*) FROM bench_filled").scalar_one())
        endpoints = int(run(connection, "SELECT count(*) FROM bench_priced").scalar_one())
    vacuum(engine)
    total = found * each
    start_us = (time.time_ns() // 1000 // HOUR_US) * HOUR_US - SPAN_US
    numbers = {
        "accounts": found,
        "endpoints": endpoints,
        "start_us": start_us,
        "step_us": SPAN_US // total,
    }
    first_id = least_id(start_us) + lane * IDS_OF_A_LANE
    for first in range(0, total, ROWS_AT_ONCE):
        part = {"first": first, "end": min(first + ROWS_AT_ONCE, total), "first_id": first_id}
        with _unhurried(engine) as connection:
            run(connection, _RESERVATIONS, **numbers, **part)
            run(connection, _ENTRIES, **numbers, **part)
    with _unhurried(engine) as connection:
        run(connection, _HOURS)
        run(connection, _DAYS)
        run(connection, _ACCOUNTS, each=each)
        run(connection, _GRANTS, each=each)
        run(connection, "DROP TABLE bench_filled")
        run(connection, "DROP TABLE bench_priced")
    vacuum(engine)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


@contextmanager
def _unhurried(engine: Engine) -> Generator[Connection]:
    """Open a transaction whose commit no caller waits for: the last checkpoint makes all of it durable."""
    with engine.begin() as connection:
        if not is_sqlite(engine):
            connection.execute(text("SET LOCAL synchronous_commit TO off"))
        yield connection


def vacuum(engine: Engine) -> None:
    """Do what PostgreSQL does by itself in the hours in which a ledger grows: count, tidy up, and write all out."""
    if is_sqlite(engine):
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
