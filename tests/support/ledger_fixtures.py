"""The fixture of a test that needs a ledger; a folder's conftest imports it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.ledgers import POOLED, Ledger, new_ledger
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Postgres, database_name

__all__ = ["ledger", "ledger_of", "ledger_template", "pooler", "postgres_ledger"]

BACKENDS = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("pooler", marks=pytest.mark.postgres),
]
"""What `ledger` may be asked for; `pooler`: PostgreSQL behind PgBouncer in transaction mode."""


@pytest.fixture(scope="session")
def pooler(postgres: Postgres) -> Generator[str]:
    """PgBouncer before the server of this test process: the beginning of a URL, up to the name of the database."""
    with pgbouncer(f"postgresql+psycopg://postgres@127.0.0.1:{postgres.port}/postgres") as url:
        yield url.removesuffix("postgres")


@pytest.fixture(scope="session")
def ledger_template(postgres: Postgres) -> str:
    """An empty ledger on PostgreSQL to copy, which is faster than migrating again."""
    return new_ledger(postgres.create_database()).url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger, once for each database."""
    return ledger_of(request, tmp_path)


def ledger_of(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger on the backend that is asked for."""
    if request.param == "sqlite":
        return new_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
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
