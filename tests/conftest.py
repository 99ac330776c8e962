"""Fixtures and profiles for every test: a database of its own on each backend."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import Postgres, find_binaries, running_postgres

IN_CI = os.environ.get("CI") == "true"

# A machine with other work is slow without being wrong: no deadlines. A failure prints what
# reproduces it.
SLOW_IS_FINE = [HealthCheck.too_slow]
settings.register_profile(
    "dev", max_examples=50, deadline=None, print_blob=True, suppress_health_check=SLOW_IS_FINE
)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=SLOW_IS_FINE,
)
settings.register_profile(
    "nightly",
    max_examples=5_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=SLOW_IS_FINE,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "dev"))


@pytest.fixture(scope="session")
def postgres() -> Generator[Postgres]:
    """A PostgreSQL server of this test process, started when a test first asks for it."""
    binaries = find_binaries()
    if binaries is None:
        reason = "no PostgreSQL server binaries here (initdb, postgres); Debian: postgresql"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    with running_postgres(binaries=binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The SQLAlchemy URL of an empty database, once for each backend."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)
