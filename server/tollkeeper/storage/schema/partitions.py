"""Keeps the partitions of PostgreSQL's large tables: made ahead of time, dropped when a move-out has emptied them.

`reservation` is cut by its ids, which rise with time, and `entry` by its time. A partition is made as a table of its
own and then attached, under a short lock timeout, so that no lane waits for longer than that. A row of a time for
which there is none goes to the DEFAULT partition and is as good there. Partitions of the journal are never dropped.
"""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from tollkeeper.engine.ids import least_id, time_of_id_us
from tollkeeper.engine.ports import ConflictError
from tollkeeper.storage.connections.engines import create_cold_engine, exclusive, is_sqlite, now_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from tollkeeper.storage.connections.answer_watch import AnswerWatch

log = logging.getLogger(__name__)

LOCK_TIMEOUT_MS = 200
"""The longest that a lane may have to wait behind a partition that is being attached or dropped."""

LOCK = 0x746F6C6C6B656570  # "tollkeep"
"""The advisory lock of migrators: partitions are made by one at a time, and never while a migration runs."""

AHEAD_US = 5 * 86_400_000_000
"""How long before its time a partition is there. Not longer: look-ups by request_id ask every one that there is."""

_TRIES = 25
_BACK_OFF_S = 0.2
_DAY_US = 86_400_000_000
_RESERVATIONS_US = 28 * _DAY_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOUND = re.compile(r"TO \('(-?\d+)'\)")


class Kind(NamedTuple):
    """How a table is cut; `also` is what each partition is given besides the columns and indexes of the whole."""

    table: str
    key: str
    options: str
    also: str
    period_end_us: Callable[[int], int]
    key_at: Callable[[int], int]
    time_of_us: Callable[[int], int]


def _period_end_us(at_us: int) -> int:
    return (at_us // _RESERVATIONS_US + 1) * _RESERVATIONS_US


def _month_end_us(at_us: int) -> int:
    day = (_EPOCH + timedelta(microseconds=at_us)).replace(day=1)
    following = (day + timedelta(days=32)).replace(day=1)
    return int((following.date() - _EPOCH.date()).days) * _DAY_US


def _same(at_us: int) -> int:
    return at_us


RESERVATIONS = Kind(
    "reservation",
    "reservation_id",
    " WITH (fillfactor = 50)",
    "CREATE UNIQUE INDEX {name}_by_request ON {name} (account_key, request_digest, shard)",
    _period_end_us,
    least_id,
    time_of_id_us,
)
JOURNAL = Kind(
    "entry",
    "created_us",
    "",
    "CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_journal()",
    _month_end_us,
    _same,
    _same,
)
KINDS = (RESERVATIONS, JOURNAL)


class Partition(NamedTuple):
    """A partition that is to be made, [start_us, end_us)."""

    kind: Kind
    start_us: int
    end_us: int

    @property
    def name(self) -> str:
        """The table's name: where it begins."""
        return f"{self.kind.table}_{_EPOCH + timedelta(microseconds=self.start_us):%Y%m%d}"


def keep(
    url: str, *, retention_us: int, at_us: int | None = None, watch: AnswerWatch | None = None
) -> None:
    """Make what will be needed, drop what is empty and over, and warn of rows that have no partition of their own.

    Does nothing on SQLite. Safe on several servers at once; what has to wait too long for a lock is left for next time.
    """
    engine = create_cold_engine(url, watch=watch)
    try:
        if is_sqlite(engine):
            return
        with exclusive(engine) as connection:
            now = at_us or now_us(connection)
            missing = [each for kind in KINDS for each in _missing(connection, kind, now)]
            emptied = list(_emptied(connection, least_id(now - retention_us)))
            strays = [
                kind.table for kind in KINDS if _has_rows(connection, f"{kind.table}_default")
            ]
        for partition in missing:
            _patiently(engine, lambda connection, new=partition: _make(connection, new))
        for name in emptied:
            _patiently(engine, lambda connection, old=name: _drop(connection, old))
        for table in strays:
            log.warning("table %s has rows in its default partition", table)
    finally:
        engine.dispose()


def make_ahead(connection: Connection) -> None:
    """Make what will be needed, in the transaction of a migrator."""
    at_us = now_us(connection)
    for kind in KINDS:
        for partition in _missing(connection, kind, at_us):
            _make(connection, partition)


def _patiently(engine: Engine, work: Callable[[Connection], None]) -> None:
    """Do it as soon as its locks are to be had within a short time each."""
    for _ in range(_TRIES):
        try:
            with exclusive(engine) as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
                connection.execute(text("SET LOCAL statement_timeout = 5000"))
                if connection.execute(text(f"SELECT pg_try_advisory_xact_lock({LOCK})")).scalar():
                    work(connection)
                    return
        except ConflictError:
            pass
        # Who has the lock may be at something else: it is not enough that somebody has it.
        time.sleep(_BACK_OFF_S)
    log.warning("partitions: no lock within %d tries; they are tried again", _TRIES)


def _missing(connection: Connection, kind: Kind, at_us: int) -> Iterator[Partition]:
    """Yield what is missing, from the end of the last partition on; a gap becomes part of the first."""
    start_us = kind.time_of_us(max(_bounds(connection, kind.table).values()))
    stray = connection.execute(text(f"SELECT max({kind.key}) FROM {kind.table}_default")).scalar()
    if stray is not None:  # no partition can be attached over rows of the default one
        start_us = max(start_us, kind.period_end_us(kind.time_of_us(stray)))
    while start_us < at_us + AHEAD_US:
        end_us = kind.period_end_us(max(start_us, at_us))
        yield Partition(kind, start_us, end_us)
        start_us = end_us


def _bounds(connection: Connection, table: str) -> dict[str, int]:
    """Return where each partition but the default one ends, by name."""
    rows = connection.execute(
        text(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:name AS regclass)"
        ),
        {"name": table},
    )
    return {name: int(end[1]) for name, bound in rows if (end := _BOUND.search(bound))}


def _make(connection: Connection, new: Partition) -> None:
    kind = new.kind
    if new.name in _bounds(connection, kind.table):
        return  # another server was faster
    first, end = kind.key_at(new.start_us), kind.key_at(new.end_us)
    for statement in (
        f"CREATE TABLE {new.name} (LIKE {kind.table} INCLUDING ALL){kind.options}",
        kind.also.format(name=new.name),
        f"ALTER TABLE {kind.table} ATTACH PARTITION {new.name} FOR VALUES FROM ({first}) TO ({end})",
    ):
        connection.execute(text(statement))


def _emptied(connection: Connection, before_id: int) -> Iterator[str]:
    """Yield the partitions of reservations that are over and empty; never the last, from which the next goes on."""
    bounds = _bounds(connection, RESERVATIONS.table)
    for name, end in bounds.items():
        if end <= before_id and end < max(bounds.values()) and not _has_rows(connection, name):
            yield name


def _drop(connection: Connection, name: str) -> None:
    if name not in _bounds(connection, RESERVATIONS.table):
        return
    connection.execute(text(f"ALTER TABLE {RESERVATIONS.table} DETACH PARTITION {name}"))
    if _has_rows(connection, name):  # under the lock: none can come after it
        raise ConflictError(f"partition {name} is not empty any more")
    connection.execute(text(f"DROP TABLE {name}"))


def _has_rows(connection: Connection, name: str) -> bool:
    return connection.execute(text(f"SELECT 1 FROM {name} LIMIT 1")).first() is not None
