"""Runs the command line: as a process of its own, as a server for as long as a block lasts, or here.

A process of its own takes a second to load. What is between a command and a server is the same from
here, so most commands are run in the test process against a server that is a real one.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import typer

from tests.support.preloaded import Preloaded
from tollkeeper.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

SERVER = Path(__file__).resolve().parents[2] / "server"
CLIENT = SERVER.parent / "clients" / "python"
END_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that it printed as JSON: its last line, which says the exit code too."""
        found = json.loads(self.err.splitlines()[-1])
        assert found["exit_code"] == self.code
        return found["error"]


@dataclass(slots=True)
class Serving:
    """A server that runs, and what it has printed."""

    process: subprocess.Popen[str]
    folder: Path
    database: str
    address: str = ""
    lines: list[str] = field(default_factory=list[str])

    def run(self, *arguments: str, **environment: str) -> Ended:
        """Run a command against this server, from the test process."""
        return here(*arguments, TOLLKEEPER_SERVER=self.address, **environment)

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed, and return its JSON."""
        ended = self.run(*arguments, "--json")
        assert ended.code == 0, ended.err
        return ended.json

    def stop(self, number: int = signal.SIGTERM) -> Ended:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> Ended:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=END_TIMEOUT_S)
        return Ended(self.process.returncode, "".join(self.lines) + out, err)


def environment_of(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment without anybody's settings, as wide as a usual terminal."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # What pytest says of the test that runs would make a nursery for each test (`preloaded.py`).
        if not name.upper().startswith(("TOLLKEEPER_", "PYTEST_"))
    }
    path = os.pathsep.join([str(SERVER), str(CLIENT), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "COLUMNS": "100", **more}


command_of = functools.cache(typer.main.get_command)
"""Builds the commands once: it takes 40 ms, and a command less than 5. They keep nothing from one call to the next."""


def here(*arguments: str, **environment: str) -> Ended:
    """Run a command to its end in this process, which nothing of it outlives."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.dict(os.environ, environment_of(environment), clear=True),
        mock.patch("sys.argv", ["tollkeeper", *arguments]),
        mock.patch("typer.main.get_command", command_of),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert code is None or isinstance(code, int)
    return Ended(int(code or 0), out.getvalue(), err.getvalue())


def tollkeeper(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    module: str = "tollkeeper",
) -> Ended:
    """Run a command to its end."""
    finished = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
        cwd=folder,
        env=environment_of(environment or {}),
    )
    return Ended(finished.returncode, finished.stdout, finished.stderr)


@contextlib.contextmanager
def serving(
    folder: Path,
    *arguments: str,
    database: str | None = None,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = ("tollkeeper", "serve"),
    preloaded: bool = True,
) -> Generator[Serving]:
    """Run a server on a free port until the block ends; its ledger is a file in `folder`.

    Not `preloaded`, it is started from nothing, for what is read while modules are loaded.
    """
    url = database or f"sqlite:///{folder / 'tollkeeper.db'}"
    own = {"TOLLKEEPER_LISTEN": "127.0.0.1:0", "TOLLKEEPER_DATABASE": url, **(environment or {})}
    process = _start([*command, *arguments], folder, environment_of(own), preloaded=preloaded)
    server = Serving(process, folder, url)
    with gone_after(process):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            ended = server.wait()
            raise AssertionError(f"the server ended with {ended.code}: {line}{ended.err}")
        server.lines.append(line)
        server.address = line.split()[-1]
        yield server


def _start(
    argv: Sequence[str], folder: Path, environment: Mapping[str, str], *, preloaded: bool
) -> subprocess.Popen[str]:
    if preloaded:
        return Preloaded(argv, cwd=folder, env=environment, first_env=environment_of({}))
    return subprocess.Popen(
        [sys.executable, "-m", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )


@contextlib.contextmanager
def gone_after(process: subprocess.Popen[str]) -> Generator[None]:
    """Kill a process after the block if it is still there, and leave nothing of it open."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
