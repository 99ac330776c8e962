"""Fixtures of the storage tests: a database with the schema, and nothing in it."""

from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.ledger_fixtures import (
    DATABASES,
    ledger_template,
    ledger_url,
    new_ledger_url,
)
from tests.support.ledgers import SQLITE, new_ledger
from tollkeeper.storage.connections.engines import create_cold_engine

__all__ = ["ledger_template", "ledger_url"]


@pytest.fixture
def sqlite_copy(tmp_path: Path) -> Path:
    """An empty SQLite ledger."""
    path = tmp_path / "copy.db"
    new_ledger(f"{SQLITE}{path}")
    return path


@pytest.fixture
def engine(ledger_url: str) -> Generator[Engine]:
    """A cold engine on an empty ledger, once for each backend."""
    engine = create_cold_engine(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=DATABASES)
def module_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Engine]:
    """A cold engine on a ledger that the tests of one file share, once for each backend."""
    with new_ledger_url(request, tmp_path_factory.mktemp("ledger")) as url:
        engine = create_cold_engine(url)
        yield engine
        engine.dispose()
