"""Fixtures of the storage tests: a database with the schema, and nothing in it."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile

import pytest
from sqlalchemy import Engine

from tests.support.postgres import Postgres
from tollkeeper.storage.connections.engines import create_cold_engine
from tollkeeper.storage.schema.migrate import upgrade


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite ledger to copy."""
    path = tmp_path_factory.mktemp("ledger") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_copy(sqlite_template: Path, tmp_path: Path) -> Path:
    """An empty SQLite ledger."""
    return Path(copyfile(sqlite_template, tmp_path / "copy.db"))


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The URL of a PostgreSQL ledger to copy."""
    url = postgres.create_database()
    upgrade(url)
    return url


BACKENDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BACKENDS)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The URL of an empty ledger, once for each backend."""
    with empty_ledger(request, tmp_path) as url:
        yield url


@pytest.fixture
def engine(ledger_url: str) -> Generator[Engine]:
    """A cold engine on an empty ledger, once for each backend."""
    engine = create_cold_engine(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=BACKENDS)
def module_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Engine]:
    """A cold engine on a ledger that the tests of one file share, once for each backend."""
    with empty_ledger(request, tmp_path_factory.mktemp("ledger")) as url:
        engine = create_cold_engine(url)
        yield engine
        engine.dispose()


@contextmanager
def empty_ledger(request: pytest.FixtureRequest, folder: Path) -> Generator[str]:
    if request.param == "sqlite":
        path = folder / "ledger.db"
        copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_database(template=request.getfixturevalue("postgres_template"))
    yield url
    server.drop_database(url)
