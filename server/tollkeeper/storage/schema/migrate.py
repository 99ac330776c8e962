"""Brings a ledger's schema to the version of this program, and says whether it is there.

A migration runs in one transaction that excludes every other migrator, so it is done or not begun.
What is not a ledger is left alone. Alembic is loaded only to migrate: it takes a quarter of a second,
and nearly every start of a server finds the schema current.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from tollkeeper.engine.ports import SchemaError
from tollkeeper.storage.connections.engines import (
    create_cold_engine,
    exclusive,
    is_sqlite,
    snapshot,
)
from tollkeeper.storage.connections.ledger_files import make_private
from tollkeeper.storage.connections.urls import parse_url
from tollkeeper.storage.schema import partitions

if TYPE_CHECKING:
    from collections.abc import Generator

    from alembic.config import Config
    from sqlalchemy import Connection, Engine

    from tollkeeper.storage.connections.answer_watch import AnswerWatch

LOCK_TIMEOUT_S = 30
"""How long a migrator waits for another, or for a lane's transaction to end."""

ADVISORY_LOCK = partitions.LOCK

_SCRIPTS = "tollkeeper.storage.schema:migrations"
_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def upgrade(url: str) -> None:
    """Apply every migration that is missing; does nothing where none is.

    Raises SchemaError for a database that is not a ledger or is newer than this program, and
    ConflictError where another migrator does not come to an end.
    """
    _make_file(url)
    with _engine(url) as engine, exclusive(engine) as connection:
        if not is_sqlite(connection):
            _lock(connection)
        _upgrade(connection)
        if not is_sqlite(connection):
            partitions.make_ahead(connection)


def is_current(url: str, *, watch: AnswerWatch | None = None) -> bool:
    """Say whether the schema is the one of this program. A SQLite file that is not there is not made."""
    if _is_missing_file(url):
        return False
    with _engine(url, watch) as engine, snapshot(engine) as connection:
        return _version(connection) == _newest()


def require_current(url: str) -> None:
    """Raise SchemaError, in words for an operator, where the schema is not the one of this program."""
    if _is_missing_file(url):
        file = parse_url(url).database
        raise SchemaError(f"there is no file {file}; name the ledger with --database")
    with _engine(url) as engine, snapshot(engine) as connection:
        _check(connection)
        version = _version(connection)
    if version != _newest():
        raise _outdated(version)


def prepare(url: str, *, watch: AnswerWatch | None = None) -> None:
    """Make sure that a server can start: an empty or new SQLite file is given the schema.

    Raises SchemaError for any other database that is not current; the message says what to do.
    """
    if is_current(url, watch=watch):
        return
    _make_file(url)
    with _engine(url, watch) as engine:
        if not is_sqlite(engine):
            with snapshot(engine) as connection:
                _check(connection)
                raise _outdated(_version(connection))
        with exclusive(engine) as connection:
            _check(connection)
            version = _version(connection)
            if version is not None and version != _newest():
                raise _outdated(version)
            _upgrade(connection)


@contextmanager
def _engine(url: str, watch: AnswerWatch | None = None) -> Generator[Engine]:
    engine = create_cold_engine(url, watch=watch)
    try:
        yield engine
    finally:
        engine.dispose()


def _is_missing_file(url: str) -> bool:
    parsed = parse_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()


def _make_file(url: str) -> None:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        make_private(parsed)


def _lock(connection: Connection) -> None:
    """Wait for the other migrators of a PostgreSQL database, at most so long."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})


def _upgrade(connection: Connection) -> None:
    _check(connection)
    if _version(connection) == _newest():
        return
    from alembic import command  # noqa: PLC0415 - it takes a while to load

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _check(connection: Connection) -> None:
    """Raise SchemaError for what a migration must not touch."""
    version = _version(connection)
    if version is None:
        if is_sqlite(connection) and inspect(connection).get_table_names():
            raise SchemaError("the SQLite file has tables in it and is not a ledger; name another")
    elif version not in _known():
        raise SchemaError(
            f"the database has schema {version}, which this version of tollkeeper does not know; "
            "use the version of tollkeeper that made it, or a newer one"
        )


def _outdated(version: str | None) -> SchemaError:
    return SchemaError(
        f"the database has {'no schema' if version is None else f'schema {version}'}; "
        f"this version of tollkeeper needs {_newest()}: run `tollkeeper migrate`"
    )


def _version(connection: Connection) -> str | None:
    """Return the schema that a database has, None where it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _newest() -> str:
    return max(_known())


def _known() -> set[str]:
    """Return the versions that there are migrations to: the numbers that their files begin with."""
    return {file.name.partition("_")[0] for file in _VERSIONS.glob("[0-9]*.py")}


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - it takes a while to load

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    return config
