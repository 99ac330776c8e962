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
    f"tests/engine/test_{name}"
    for name in (
        *("batches", "bulks", "counts", "denials", "extending", "moving_out", "prices"),
        *("price_lists_of_accounts", "recurring", "sweeping", "refunds_after_moving_out"),
        *("what_is_due", "stopping", "events"),
    )
}

OF_PROCESSES = {"tests/engine/test_process_host"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for each backend, and for the pooler where the rules of the core are tested."""
    if "ledger" in metafunc.fixturenames:
        file = metafunc.definition.nodeid.partition(".py")[0]
        backends = BACKENDS if file in ALSO_POOLED else DATABASES
        metafunc.parametrize(
            "ledger", ONE_DATABASE if file in OF_PROCESSES else backends, indirect=True
        )


@pytest.fixture
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """An empty ledger on the backend that was asked for."""
    return ledger_of(request, tmp_path)
