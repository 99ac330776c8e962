"""Fixtures of the command line's tests: one server for a whole file of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import SERVER, Serving, serving
from tests.support.ledger_fixtures import ledger, ledger_template, postgres_ledger

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ledger", "ledger_template", "postgres_ledger"]

PRICES = SERVER / "tollkeeper" / "cli" / "demo_prices.toml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving]:
    """A server with the example price list on a new SQLite file."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, "--prices", str(PRICES)) as running:
        yield running
