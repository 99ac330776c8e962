"""The fixture of a test that needs a ledger; a folder's conftest imports it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.ledgers import Ledger, new_ledger
from tests.support.postgres import Postgres

__all__ = ["ledger", "ledger_template", "postgres_ledger"]


@pytest.fixture(scope="session")
def ledger_template(postgres: Postgres) -> str:
    """An empty ledger on PostgreSQL to copy, which is faster than migrating again."""
    return new_ledger(postgres.create_database()).url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger, once for each database."""
    if request.param == "sqlite":
        return new_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    return request.getfixturevalue("postgres_ledger")


@pytest.fixture
def postgres_ledger(postgres: Postgres, ledger_template: str) -> Generator[Ledger]:
    """An empty ledger on PostgreSQL."""
    url = postgres.create_database(template=ledger_template)
    yield Ledger(url)
    postgres.drop_database(url)
