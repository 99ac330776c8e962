"""Every test of the engine has a ledger of its own, on each database; those of the core also behind a pooler."""

from pathlib import Path

import pytest

from tests.support.ledger_fixtures import (
    BACKENDS,
    DATABASES,
    ONE_DATABASE,
    ledger_of,
    ledger_template,
    pooler,
    postgres_ledger,
)
from tests.support.ledgers import Ledger

__all__ = ["ledger_template", "pooler", "postgres_ledger"]

ALSO_POOLED = {
    *("test_batches", "test_bulks", "test_counts", "test_denials", "test_extending"),
    *("test_moving_out", "test_prices", "test_price_lists_of_accounts", "test_recurring"),
    *("test_sweeping", "test_refunds_after_moving_out", "test_what_is_due", "test_stopping"),
    "test_events",
}
OF_PROCESSES = {"test_process_host"}
"""Files by their name, in whichever folder below this one."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for each backend, and for the pooler where the rules of the core are tested."""
    if "ledger" in metafunc.fixturenames:
        file = metafunc.definition.path.stem
        backends = BACKENDS if file in ALSO_POOLED else DATABASES
        metafunc.parametrize(
            "ledger", ONE_DATABASE if file in OF_PROCESSES else backends, indirect=True
        )


@pytest.fixture
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger on the backend that was asked for."""
    return ledger_of(request, tmp_path)
