"""The fixtures of a test that needs a ledger; a folder's conftest imports those that it uses."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ledgers import POOLED, SQLITE, Ledger, new_ledger
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Postgres, database_name

__all__ = [
    "ledger",
    "ledger_of",
    "ledger_on_any",
    "ledger_template",
    "ledger_url",
    "new_ledger_url",
    "pooler",
    "postgres_ledger",
]

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
ONE_DATABASE = [
    "sqlite",
    pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.thorough]),
]
"""For tests of what does not know the database, such as clients and processes: `make test` tries one."""
BACKENDS = [
    *DATABASES,
    pytest.param("pooler", marks=[pytest.mark.postgres, pytest.mark.thorough]),
]
"""What `ledger` may be asked for; `pooler`: PostgreSQL behind PgBouncer in transaction mode."""


@pytest.fixture(scope="session")
def pooler(postgres: Postgres) -> Generator[str]:
    """PgBouncer before the server of this test process: the beginning of a URL, up to the name of the database."""
    with pgbouncer(f"postgresql+psycopg://postgres@127.0.0.1:{postgres.port}/postgres") as url:
        yield url.removesuffix("postgres")


@pytest.fixture(scope="session")
def ledger_template(postgres: Postgres) -> str:
    """An empty ledger on PostgreSQL to copy, which takes an eighth of the time to migrate again."""
    return new_ledger(postgres.create_database()).url


@pytest.fixture(params=DATABASES)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The URL of an empty ledger, once for each database."""
    with new_ledger_url(request, tmp_path) as url:
        yield url


@contextmanager
def new_ledger_url(request: pytest.FixtureRequest, folder: Path) -> Generator[str]:
    """Make an empty ledger on the database that is asked for; one on PostgreSQL is gone after the block."""
    if request.param == "sqlite":
        yield new_ledger(f"{SQLITE}{folder / 'ledger.db'}").url
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_database(template=request.getfixturevalue("ledger_template"))
    yield url
    server.drop_database(url)


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger, once for each database."""
    return ledger_of(request, tmp_path)


@pytest.fixture(params=ONE_DATABASE)
def ledger_on_any(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger, for a test that is not about the database."""
    return ledger_of(request, tmp_path)


def ledger_of(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger on the backend that is asked for."""
    if request.param == "sqlite":
        return new_ledger(f"{SQLITE}{tmp_path / 'ledger.db'}")
    found: Ledger = request.getfixturevalue("postgres_ledger")
    if request.param == "postgres":
        return found
    return Ledger(f"{request.getfixturevalue('pooler')}{database_name(found.url)}{POOLED}")


@pytest.fixture
def postgres_ledger(postgres: Postgres, ledger_template: str) -> Generator[Ledger]:
    """An empty ledger on PostgreSQL."""
    url = postgres.create_database(template=ledger_template)
    yield Ledger(url)
    postgres.drop_database(url)
