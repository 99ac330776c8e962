"""Fixtures and profiles for every test: a database of its own on each backend."""

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.folder_times import FolderTimes
from tests.support.postgres import Postgres
from tests.support.postgres_of_run import Keeper, ask, opened

IN_CI = os.environ.get("CI") == "true"

# How many examples a property is tried with: few for `make test`, more for `make test-all`, many at night.
EXAMPLES = {"small": 10, "ci": 100, "nightly": 5_000}
for profile, examples in EXAMPLES.items():
    # A machine with other work is slow without being wrong: no deadlines. A failure prints what
    # reproduces it, and in CI every run tries the same.
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize=profile == "ci",
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "small"))


KEEPER = pytest.StashKey[Keeper]()


def pytest_configure(config: pytest.Config) -> None:
    """Make ready, in the main process, what all test processes of a run share."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell lets a job in the background ignore Ctrl-C, and a process that a test starts would ignore it too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.stash[KEEPER] = Keeper()
        config.pluginmanager.register(FolderTimes(config))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what they shared."""
    if KEEPER in config.stash:
        config.stash[KEEPER].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker process of pytest-xdist where to ask for it."""
    node.workerinput["postgres"] = node.config.stash[KEEPER].listen()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Postgres:
    """The PostgreSQL server of this run, started when a test first asks for it."""
    if KEEPER in pytestconfig.stash:
        answer = pytestconfig.stash[KEEPER].server()
    else:
        keeper: tuple[str, bytes] = vars(pytestconfig)["workerinput"]["postgres"]
        answer = ask(*keeper)
    server = opened(answer)
    if server is None:
        reason = "no PostgreSQL server binaries here (initdb, postgres); Debian: postgresql"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return server


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
