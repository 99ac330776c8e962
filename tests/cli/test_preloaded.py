"""A server that a test starts is a process as any other, though another has loaded it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.processes import environment_of, serving, tollkeeper
from tests.support.preloaded import Preloaded
from tests.support.thorough import thorough
from tests.support.writers import parent_of
from tollkeeper import __version__

pytestmark = thorough


def start(folder: Path, *arguments: str) -> Preloaded:
    return Preloaded(
        ["tollkeeper", *arguments],
        cwd=folder,
        env=environment_of({"TOLLKEEPER_LISTEN": "nowhere"}),
        first_env=environment_of({}),
    )


def test_it_has_streams_and_an_exit_code(tmp_path: Path) -> None:
    with start(tmp_path, "--version") as process:
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (0, f"tollkeeper {__version__}\n", "")


def test_it_has_the_environment_and_says_what_one_that_was_loaded_anew_says(tmp_path: Path) -> None:
    with start(tmp_path, "serve") as process:
        out, err = process.communicate(timeout=60)
    anew = tollkeeper("serve", environment={"TOLLKEEPER_LISTEN": "nowhere"}, folder=tmp_path)

    assert (process.returncode, out, err) == (anew.code, anew.out, anew.err)
    assert anew.code != 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_waited_for_and_ends_by_a_signal(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as server:
        assert (tmp_path / "tollkeeper.db").exists()
        assert server.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.01)
        assert parent_of(server.process.pid) != os.getpid()
        ended = server.stop(number)

    assert ended.code == (0 if number == signal.SIGTERM else -number)
