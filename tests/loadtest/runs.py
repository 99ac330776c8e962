"""Runs `tollkeeper loadtest` beside a test: to its end, or as a process whose lines a test waits for."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.cli.processes import END_TIMEOUT_S, environment_of, gone_after, here

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.cli.processes import Ended

SHORT = ("--warm-up", "0", "--accounts", "20", "--callers", "8", "--processes", "1")
MIXED = ("--mix", "200=60,204=5,404=10,503=5,release=10,release:rate_limited=5,server_error=5")


def loadtest(*arguments: str) -> Ended:
    """Run a short load test in this process; its report is printed as JSON."""
    return here("loadtest", *SHORT, *arguments, "--json")


@dataclass(frozen=True, slots=True)
class Running:
    """A load test that goes on while the test does something to its server."""

    process: subprocess.Popen[str]

    def wait_for(self, line: str) -> None:
        """Wait until it says a line that begins so; a load test says one a second."""
        assert self.process.stderr is not None
        for said in self.process.stderr:
            if said.startswith(line):
                return
        raise AssertionError(f"it ended without saying {line}")

    def end(self) -> tuple[int, Any]:
        """Wait for its end; return its exit code and its report."""
        out, err = self.process.communicate(timeout=2 * END_TIMEOUT_S)
        assert out, err
        return self.process.returncode, json.loads(out)


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Generator[Running]:
    """Start a load test as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", "loadtest", *SHORT, *arguments, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment_of({}),
    )
    with gone_after(process):
        yield Running(process)
