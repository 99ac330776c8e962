"""The engine on a real store beside the reference model, whatever is asked of both."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.ledger_machine import LedgerMachine
from tests.properties.side_by_side import BEGIN_US
from tests.support.ledgers import SQLITE, new_ledger
from tests.support.postgres import Postgres
from tollkeeper.storage.schema import partitions

STEPS = 40
SHARE_ON_SQLITE = 0.8
"""Of the examples of the profile: 80 in CI, each of which takes most of a second."""
SHARE_ON_POSTGRES = 0.25
TIMEOUT_S = 7_200
"""To reduce a failing example takes minutes, and a nightly run takes longer."""


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_the_engine_is_the_model_on_sqlite(tmp_path: Path) -> None:
    empty, used = tmp_path / "empty.db", tmp_path / "used"
    new_ledger(f"{SQLITE}{empty}")

    class OnSqlite(LedgerMachine):
        lanes = 1

        @classmethod
        @contextmanager
        def fresh(cls) -> Generator[str]:
            """Copy the empty file."""
            used.mkdir()
            shutil.copy(empty, used / "ledger.db")
            yield f"sqlite:///{used / 'ledger.db'}"
            shutil.rmtree(used)

    run_state_machine_as_test(OnSqlite, settings=scaled(SHARE_ON_SQLITE))


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(TIMEOUT_S)
def test_the_engine_is_the_model_on_postgres(
    postgres: Postgres, ledger_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two lanes in a thousand draw the same number: then they give the same ids, in other shards.
    monkeypatch.setattr("secrets.randbelow", half)
    empty = postgres.create_database(template=ledger_template)
    # A month from the beginning the clock leaves the partitions that there are.
    partitions.keep(empty, retention_us=BEGIN_US, at_us=BEGIN_US)

    class OnPostgres(LedgerMachine):
        lanes = 2

        @classmethod
        @contextmanager
        def fresh(cls) -> Generator[str]:
            """Copy the empty database."""
            url = postgres.create_database(template=empty)
            yield url
            postgres.drop_database(url)

    run_state_machine_as_test(OnPostgres, settings=scaled(SHARE_ON_POSTGRES))


def half(number: int) -> int:
    return number // 2


def scaled(share: float) -> settings:
    profile = settings.default or settings()
    return settings(max_examples=int(profile.max_examples * share) or 1, stateful_step_count=STEPS)
