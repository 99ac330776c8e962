"""What a lane says to PostgreSQL: the statements, and how rows become their arrays.

The statements take arrays (`unnest`); one executemany through SQLAlchemy measured six times slower. Arrays are
given as text literals: psycopg's own list dumper is Python and cost two thirds of the driver's time. Each element
costs about 0.2 µs on its way, so what can be said otherwise is: the shard is computed from the account's key, and what
rows have in common is in the statement. Every look-up is a LATERAL with an index probe, since a young table has no
statistics and a join of unnest with it was O(batch x table).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, SmallInteger, Table, Text

from tollkeeper.storage.lane import arrays
from tollkeeper.storage.lane.arrays import Encoder
from tollkeeper.storage.lane.changes import CHANGES, How
from tollkeeper.storage.rows import written
from tollkeeper.storage.schema import tables
from tollkeeper.storage.schema.shards import shard_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tollkeeper.storage.lane.changes import Change
    from tollkeeper.storage.rows.written import Row

PRICE_LOCK = 0x746F6C6C
"""The advisory lock that batches share and a publication holds alone."""


class ArrayStatement(NamedTuple):
    """A statement that takes arrays, and what writes each column of its rows as one; None for those it does without."""

    statement: bytes
    encoders: tuple[Encoder | None, ...]


_TYPES: dict[type[Any], str] = {
    SmallInteger: "smallint",
    Integer: "integer",
    BigInteger: "bigint",
    Boolean: "boolean",
    Text: "text",
    LargeBinary: "bytea",
}

_NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
_BEGUN = _NOW.replace("clock_timestamp", "statement_timestamp")


def _prefixed(table: Table) -> str:
    return ", ".join(f"t.{column.name}" for column in table.columns)


def _array(table: Table, column: str) -> str:
    for kind in type(table.c[column].type).__mro__:
        if kind in _TYPES:
            return f"%s::{_TYPES[kind]}[]"
    raise TypeError(column)


def _arrays(table: Table, columns: Sequence[str]) -> str:
    return ", ".join(_array(table, column) for column in columns)


def _shard_of(key: str) -> str:
    return f"{shard_sql(key)}::smallint"


def _computed(table: Table, names: Sequence[str]) -> dict[str, str]:
    """Return what is computed and needs no array: the shard, where the account's key is given."""
    key = "key" if table is tables.account else "account_key"
    if "shard" in names and key in names:
        return {"shard": _shard_of(f"u.{key}")}
    return {}


def _rows_of(table: Table, names: Sequence[str]) -> str:
    return f"unnest({_arrays(table, names)}) u({', '.join(names)})"


def _selected(names: Sequence[str], computed: Mapping[str, str]) -> str:
    return ", ".join([computed.get(name, f"u.{name}") for name in names])


def _given(names: Sequence[str], computed: Mapping[str, str]) -> list[str]:
    return [name for name in names if name not in computed]


def _insert(
    table: Table, columns: Sequence[str] = (), more: Mapping[str, str] | None = None
) -> str:
    """Insert these columns, or all; `more` have the value of another column."""
    names = columns or table.columns.keys()
    computed = _computed(table, names)
    given = _rows_of(table, _given(names, computed))
    computed |= {name: f"u.{same}" for name, same in (more or {}).items()}
    names = [*names, *(more or {})]
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {_selected(names, computed)} "
        f"FROM {given}"
    )


def _update(table: Table, columns: Sequence[str], keys: Sequence[str], to: str = "u.{name}") -> str:
    computed = _computed(table, keys)
    conditions = [f"t.{name} = " + computed.get(name, f"u.{name}") for name in keys]
    return (
        f"UPDATE {table.name} t "
        f"SET {', '.join(f'{name} = {to.format(name=name)}' for name in columns)} "
        f"FROM {_rows_of(table, _given([*columns, *keys], computed))} "
        f"WHERE {' AND '.join(conditions)}"
    )


def _or_add(table: Table, more: Iterable[str]) -> str:
    """Add to the counters that there are: every column that a batch writes, and `more`, but not the key."""
    keys = table.primary_key.columns.keys()
    added = ", ".join(
        f"{name} = {table.name}.{name} + excluded.{name}"
        for name in (*written.ADDED_TO[table.name], *more)
        if name not in keys
    )
    return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}"


def _add(table: Table, more: Mapping[str, str] | None = None) -> str:
    names = written.ADDED_TO[table.name]
    return f"{_insert(table, names, more)} {_or_add(table, more or ())}"


def _hold() -> str:
    """Insert reservations that are HELD, and the rows of their holds; what all such have in common is not sent."""
    held, names = tables.reservation, tables.reservation.columns.keys()
    computed = _computed(held, names) | written.OF_HELD
    hold = tables.hold.columns.keys()
    return (
        f"WITH u AS (SELECT * FROM {_rows_of(held, _given(names, computed))}), "
        f"h AS (INSERT INTO hold ({', '.join(hold)}) SELECT {_selected(hold, computed)} FROM u) "
        f"INSERT INTO reservation ({', '.join(names)}) SELECT {_selected(names, computed)} FROM u"
    )


def _count(more: Mapping[str, str]) -> str:
    """Add to the counters of one quarter of an hour, and of its day, at once; `more` is what that quarter has."""
    statement = "WITH u AS (SELECT * FROM {rows}), d AS ({day}) {hour}"
    hour, day = tables.usage_hour, tables.usage_day

    def adding(table: Table, bucket: str, more: Mapping[str, str]) -> str:
        names = written.ADDED_TO[table.name]
        computed = _computed(table, names) | {bucket: "%s::integer"}
        computed |= {name: f"u.{same}" for name, same in more.items()}
        names = (*names, *more)
        return (
            f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {_selected(names, computed)} "
            f"FROM u {_or_add(table, more)}"
        )

    given = _given(written.ADDED_TO["usage_hour"], {"shard": "", "hour": ""})
    return statement.format(
        rows=_rows_of(hour, given), day=adding(day, "day", {}), hour=adding(hour, "hour", more)
    )


_SHARD = _shard_of("u.key")
_RESERVATION = ", ".join(f"t.{name}" for name in tables.RESERVATION_READ_BY_LANES)

KEYS = (
    b"SELECT t.account_id, t.key FROM unnest(%s::text[]) u(account_id) "
    b"CROSS JOIN LATERAL (SELECT account_id, key FROM account a "
    b"WHERE a.account_id = u.account_id LIMIT 1) t"
)
COMMIT = b"COMMIT"
NOBODY_WAITS = b"SET LOCAL synchronous_commit TO off"
LOCK_PRICES = (
    f"SELECT {_BEGUN}, set_config('lock_timeout', %s, true) "
    f"FROM pg_advisory_xact_lock_shared({PRICE_LOCK})"
).encode()
"""And say how long each lock after this one is waited for, in milliseconds. Answers when it began."""
LOCK_PRICES_ALONE = f"SELECT pg_advisory_xact_lock({PRICE_LOCK})".encode()
NOW = f"SELECT {_NOW}".encode()
LOCK_ACCOUNTS = (
    f"SELECT {_prefixed(tables.account)} FROM unnest(%s::bigint[]) u(key) "
    f"CROSS JOIN LATERAL (SELECT * FROM account a WHERE a.shard = {_SHARD} AND a.key = u.key "
    "FOR NO KEY UPDATE) t"
).encode()
LOCK_FREE_ACCOUNTS = LOCK_ACCOUNTS.replace(b"UPDATE)", b"UPDATE SKIP LOCKED)")
ACCOUNTS_THERE = (
    "SELECT t.key FROM unnest(%s::bigint[]) u(key) CROSS JOIN LATERAL "
    f"(SELECT key FROM account a WHERE a.shard = {_SHARD} AND a.key = u.key OFFSET 0) t"
).encode()
ONLY_LOCK_ACCOUNTS = (
    b"SELECT count(t) FROM unnest(%s::smallint[], %s::bigint[]) u(shard, key) "
    b"CROSS JOIN LATERAL (SELECT 1 FROM account a WHERE a.shard = u.shard AND a.key = u.key "
    b"FOR NO KEY UPDATE) t"
)
GRANTS = (
    f"SELECT {_prefixed(tables.credit_grant)} FROM unnest(%s::bigint[]) u(key) "
    "CROSS JOIN LATERAL (SELECT * FROM credit_grant g "
    f"WHERE g.shard = {_SHARD} AND g.account_key = u.key AND g.open OFFSET 0) t "
    "ORDER BY t.account_key, t.priority, t.expires_us, t.created_us, t.grant_id"
).encode()
CLOSED_GRANTS = (
    f"SELECT {_prefixed(tables.credit_grant)} "
    "FROM unnest(%s::smallint[], %s::bigint[]) u(shard, key) "
    "CROSS JOIN LATERAL (SELECT * FROM credit_grant g "
    "WHERE g.shard = u.shard AND g.account_key = u.key AND NOT g.open OFFSET 0) t"
).encode()
WINDOWS = (
    f"SELECT {_prefixed(tables.limit_window)} "
    "FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[]) u(shard, key, id) "
    "CROSS JOIN LATERAL (SELECT * FROM limit_window w WHERE w.shard = u.shard "
    "AND w.account_key = u.key AND w.limit_id = u.id ORDER BY w.start_us DESC LIMIT 1) t"
).encode()
"""The latest window of each limit."""
RESERVATIONS = (
    f"SELECT {_RESERVATION} "
    "FROM unnest(%s::smallint[], %s::bigint[]) u(shard, id) "
    "CROSS JOIN LATERAL (SELECT * FROM reservation r "
    "WHERE r.shard = u.shard AND r.reservation_id = u.id LIMIT 1) t"
).encode()
REQUESTS = (
    f"SELECT {_RESERVATION} FROM unnest(%s::bigint[], %s::bytea[]) u(key, digest) "
    "CROSS JOIN LATERAL (SELECT * FROM reservation r "
    "WHERE r.account_key = u.key AND r.request_digest = u.digest LIMIT 1) t"
).encode()
ADMIN = (
    b"SELECT t.digest, t.method, t.content, t.result, t.created_us "
    b"FROM unnest(%s::bytea[]) u(digest) "
    b"CROSS JOIN LATERAL (SELECT * FROM admin_request a WHERE a.digest = u.digest LIMIT 1) t"
)
NOW_AND_PRICES = f"SELECT {_NOW}, (SELECT coalesce(max(version), 0) FROM price_list)".encode()
OVERDUE = (
    f"SELECT {_RESERVATION} "
    "FROM unnest(%s::smallint[], %s::bigint[]) u(shard, key) "
    "CROSS JOIN LATERAL (SELECT * FROM hold "
    "WHERE shard = u.shard AND account_key = u.key AND expires_us <= %s OFFSET 0) h "
    "CROSS JOIN LATERAL (SELECT * FROM reservation r "
    "WHERE r.shard = h.shard AND r.reservation_id = h.reservation_id LIMIT 1) t "
    "ORDER BY t.expires_us, t.reservation_id"
).encode()
DUE_HOLDS = (
    b"SELECT t.account_key, t.reservation_id FROM unnest(%s::smallint[]) u(shard) "
    b"CROSS JOIN LATERAL (SELECT account_key, reservation_id FROM hold h "
    b"WHERE h.shard = u.shard AND h.expires_us <= %s ORDER BY h.expires_us LIMIT %s) t LIMIT %s"
)
DUE_GRANTS = (
    "SELECT DISTINCT t.account_key FROM unnest(%s::smallint[]) u(shard) "
    "CROSS JOIN LATERAL (SELECT account_key FROM credit_grant g WHERE g.shard = u.shard "
    f"AND {tables.IS_OPEN_AND_EXPIRES} AND g.remaining > 0 AND g.expires_us <= %s "
    "ORDER BY g.expires_us LIMIT %s) t LIMIT %s"
).encode()
OLDEST = (
    f"SELECT {_NOW}, (SELECT min(t.reservation_id) FROM unnest(%s::smallint[]) u(shard) "
    "CROSS JOIN LATERAL (SELECT reservation_id FROM reservation r "
    "WHERE r.shard = u.shard ORDER BY r.reservation_id LIMIT 1) t)"
).encode()
AGED = (
    b"SELECT t.* FROM unnest(%s::smallint[]) u(shard) CROSS JOIN LATERAL "
    b"(SELECT account_key, reservation_id, state, settled_us, expires_us FROM reservation r "
    b"WHERE r.shard = u.shard AND r.reservation_id >= %s AND r.reservation_id < %s OFFSET 0) t "
    b"LIMIT %s"
)
DELETE_ENDED = (
    b"WITH gone AS (DELETE FROM reservation t USING unnest(%s::smallint[], %s::bigint[], %s::smallint[], "
    b"%s::bigint[]) u(shard, reservation_id, state, settled_us) WHERE t.shard = u.shard "
    b"AND t.reservation_id = u.reservation_id AND t.state = u.state AND t.settled_us = u.settled_us "
    b"RETURNING 1) SELECT count(*) FROM gone"
)
"""Deletes those that are as they were read, and tells how many."""
WINDOWS_AFTER = (
    b"SELECT shard, account_key, limit_id, start_us, held = 0 AND used = used_moved_out "
    b"AND over = over_moved_out AND shard = ANY(%s::smallint[]) AND (start_us < %s OR EXISTS ("
    b"SELECT 1 FROM limit_window w WHERE w.shard = t.shard AND w.account_key = t.account_key "
    b"AND w.limit_id = t.limit_id AND w.start_us > t.start_us)) FROM limit_window t "
    b"WHERE (shard, account_key, limit_id, start_us) > (%s, %s, %s, %s) "
    b"ORDER BY shard, account_key, limit_id, start_us LIMIT %s"
)
"""The next windows, and whether each may be deleted."""
FORGET_WINDOWS = (
    b"DELETE FROM limit_window t USING unnest(%s::smallint[], %s::bigint[], %s::bigint[], "
    b"%s::bigint[]) u(shard, account_key, limit_id, start_us) WHERE t.shard = u.shard "
    b"AND t.account_key = u.account_key AND t.limit_id = u.limit_id AND t.start_us = u.start_us "
    b"AND t.held = 0 AND t.used = t.used_moved_out AND t.over = t.over_moved_out"
)
"""Looks again at what may have changed since; nothing begins to count in a window that is not a limit's latest."""
DUE_PERIODS = (
    b"SELECT t.key FROM unnest(%s::smallint[]) u(shard) "
    b"CROSS JOIN LATERAL (SELECT key FROM account a WHERE a.shard = u.shard "
    b"AND a.next_grant_us > 0 AND a.next_grant_us <= %s ORDER BY a.next_grant_us LIMIT %s) t LIMIT %s"
)

_ENCODERS: dict[str, Encoder] = {
    "%s::smallint[]": arrays.ints,
    "%s::integer[]": arrays.ints,
    "%s::bigint[]": arrays.ints,
    "%s::boolean[]": arrays.bools,
    "%s::text[]": arrays.texts,
    "%s::bytea[]": arrays.byteas,
}


def _encoder(table: Table, column: str) -> Encoder:
    encoder = _ENCODERS[_array(table, column)]
    return (
        arrays.every_text if encoder is arrays.texts and not table.c[column].nullable else encoder
    )


def literals(rows: Sequence[Row], encoders: Sequence[Encoder | None]) -> list[str]:
    """Return one literal for each column of the rows that has an encoder; of rows there is at least one."""
    columns = zip(*rows, strict=True)
    return [encode(column) for encode, column in zip(encoders, columns, strict=True) if encode]


# -- what is written


def _plan(
    statement: str, table: Table, names: Sequence[str], computed: Mapping[str, str] | None = None
) -> ArrayStatement:
    without = _computed(table, names) if computed is None else computed
    encoders = [None if name in without else _encoder(table, name) for name in names]
    return ArrayStatement(statement.encode(), tuple(encoders))


def _delete(table: Table, keys: Sequence[str]) -> str:
    same = " AND ".join(f"t.{name} = u.{name}" for name in keys)
    return f"DELETE FROM {table.name} t USING {_rows_of(table, keys)} WHERE {same}"


def _statement(change: Change) -> ArrayStatement:
    """Return what carries out one kind of change."""
    table, columns, keys = change.table, change.columns, change.keys
    if change.how is How.INSERT:
        return _plan(_insert(table, columns), table, columns)
    if change.how is How.ADD:
        return _plan(_add(table, change.more), table, columns)
    if change.how is How.DELETE:
        return _plan(_delete(table, keys), table, keys, {})
    to = "t.{name} + u.{name}" if change.how is How.ADD_TO else "u.{name}"
    return _plan(_update(table, columns, keys, to), table, change.names)


STATEMENTS = {change.name: _statement(change) for change in CHANGES}
"""By the name of the change."""

HOLD = _plan(
    _hold(),
    tables.reservation,
    tables.reservation.columns.keys(),
    {"shard": "", **written.OF_HELD},
)
COUNT = [
    _plan(
        _count(more),
        tables.usage_hour,
        written.ADDED_TO["usage_hour"],
        {"shard": "", "hour": ""},
    )
    for more in written.COUNTED_TOO
]
"""One for each quarter of an hour. Takes the day and the hour after the arrays."""
