"""Tells what a database's error means to the engine: try again at once, wait, or look into it.

What is not known here becomes a plain StoreError, which is an internal error to a caller. Messages
are the driver's own, without the statement and its parameters, for the operator's log alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import exc

from tollkeeper.engine.ports import (
    ConflictError,
    LockedError,
    SchemaError,
    StoreError,
    UnavailableError,
)
from tollkeeper.engine.unavailable import FullError

if TYPE_CHECKING:
    from collections.abc import Generator

# https://www.postgresql.org/docs/current/errcodes-appendix.html; two characters stand for a class.
_SQLSTATES: dict[str, type[StoreError]] = {
    "40003": UnavailableError,  # statement completion unknown
    "40": ConflictError,  # serialization failure, deadlock
    "55P03": LockedError,  # lock not available in time
    "22012": ConflictError,  # division by zero: how `postgres_sql.DELETE_ENDED` fails
    "23505": ConflictError,  # unique violation: another transaction has made the row
    "08": UnavailableError,  # connection exception
    "25006": UnavailableError,  # read-only transaction: we reached a standby
    "25P03": UnavailableError,  # idle in transaction for too long, session ended
    "28": UnavailableError,  # not allowed to log in
    "3D": UnavailableError,  # no such database
    "53": UnavailableError,  # out of memory, too many connections
    "53100": FullError,
    "57": UnavailableError,  # shutdown, crash, start-up, cancelled by an operator or a timeout
    "58": UnavailableError,  # I/O error
    "3F": SchemaError,  # no such schema
    "42P01": SchemaError,  # undefined table
    "42P07": SchemaError,  # table exists already
    "42703": SchemaError,  # undefined column
}

# https://www.sqlite.org/rescode.html; extended codes first, then their lowest eight bits.
_SQLITE_CODES: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: ConflictError,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: ConflictError,
    sqlite3.SQLITE_BUSY: ConflictError,
    sqlite3.SQLITE_LOCKED: ConflictError,
    sqlite3.SQLITE_SCHEMA: ConflictError,
    sqlite3.SQLITE_FULL: FullError,
    sqlite3.SQLITE_READONLY: UnavailableError,
    sqlite3.SQLITE_IOERR: UnavailableError,
    sqlite3.SQLITE_CANTOPEN: UnavailableError,
    sqlite3.SQLITE_PERM: UnavailableError,
    sqlite3.SQLITE_NOMEM: UnavailableError,
    sqlite3.SQLITE_PROTOCOL: UnavailableError,
    sqlite3.SQLITE_INTERRUPT: UnavailableError,
    sqlite3.SQLITE_NOTADB: SchemaError,
}
_SQLITE_PRIMARY_CODE = 0xFF
_SQLITE_ROW_EXISTS = "a row of this key exists"
"""What the triggers of append-only tables say of a second row; of any other change they say something else."""
POOLER_HINT = "behind a pooler, such as PgBouncer, add ?pooler=transaction to the database's URL"
_GUESS = " This probably means "
"""With this libpq begins to guess why a connection was closed. It may have been us."""

_REFUSED_BY_A_POOLER = "unsupported startup parameter"

_SQLITE_NO_SCHEMA = ("no such table", "no such column", "has no column named")


@contextmanager
def store_errors() -> Generator[None]:
    """Raise what a database raises in this block as a StoreError; all else passes."""
    try:
        yield
    except (exc.SQLAlchemyError, psycopg.Error, sqlite3.Error) as error:
        raise translate(error) from error


def translate(error: Exception) -> StoreError:
    """Return what an error of SQLAlchemy, psycopg or sqlite3 means."""
    if isinstance(error, StoreError):
        return error
    cause: BaseException = error
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        cause = error.orig
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
        return SchemaError("the file is not a SQLite database; name the ledger's")
    meaning = _meaning(cause)
    # The driver's name of an error says something only where nothing else is known of it.
    kind = f"{type(cause).__name__}: " if meaning is StoreError else ""
    first = "the disk is full: " if meaning is FullError else kind
    return meaning(f"{first}{_words(cause)}")


def _words(cause: BaseException) -> str:
    """Return what the server said, without the statement that PostgreSQL quotes under it."""
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    words = " ".join((said or str(cause)).split()).partition(_GUESS)[0]
    return f"{words}; {POOLER_HINT}" if _REFUSED_BY_A_POOLER in words else words


def _meaning(cause: BaseException) -> type[StoreError]:
    if isinstance(cause, psycopg.Error):
        return _meaning_on_postgres(cause)
    if isinstance(cause, sqlite3.Error):
        return _meaning_on_sqlite(cause)
    # The pool has no connection to give, or the one we have is gone.
    if isinstance(
        cause, (exc.TimeoutError, exc.PendingRollbackError, exc.ResourceClosedError, OSError)
    ):
        return UnavailableError
    return StoreError


def _meaning_on_postgres(cause: psycopg.Error) -> type[StoreError]:
    if isinstance(cause, psycopg.errors.PipelineAborted):
        return ConflictError  # an earlier statement of the pipeline failed, and all with it
    state = cause.sqlstate
    if state is None:
        lost = isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError))
        return UnavailableError if lost else StoreError
    return _SQLSTATES.get(state) or _SQLSTATES.get(state[:2], StoreError)


def _meaning_on_sqlite(cause: sqlite3.Error) -> type[StoreError]:
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    if code is None:  # Python's own check: the connection is closed
        return UnavailableError if isinstance(cause, sqlite3.ProgrammingError) else StoreError
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER and str(cause).endswith(_SQLITE_ROW_EXISTS):
        return ConflictError
    known = _SQLITE_CODES.get(code) or _SQLITE_CODES.get(code & _SQLITE_PRIMARY_CODE)
    if known is None and any(words in str(cause) for words in _SQLITE_NO_SCHEMA):
        return SchemaError
    return known or StoreError
