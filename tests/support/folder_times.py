"""Prints at the end of a run how much test time each folder took, beside its budget.

Test time is the time from the beginning of a test's set-up to the end of its tear-down, added up over
all tests and over all worker processes. The budgets are in `tests/budgets.toml`. On a developer's
machine they are only shown; where CI=true, a folder over its budget fails the run.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).resolve().parents[1] / "budgets.toml"
QUICK = "not thorough"
"""The choice of `make test`; without it a run is held to the budgets of `make test-all`."""


def budgets(verb: str) -> dict[str, float]:
    """Return the seconds of each folder for a verb of make: `test` or `test-all`."""
    read: dict[str, dict[str, float]] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return read[verb]


def folder_of(nodeid: str) -> str:
    """Return the folder below `tests` that a test belongs to."""
    parts = nodeid.partition("::")[0].split("/")
    return parts[1] if len(parts) > 2 else parts[0]


def over(seconds: Mapping[str, float], allowed: Mapping[str, float]) -> list[str]:
    """Return a message for each folder that took more than its budget."""
    return [
        f"tests/{folder} took {took:.0f} s of test time; its budget in tests/budgets.toml is "
        f"{allowed.get(folder, 0):.0f} s: find what became slow, or mark what may wait as thorough"
        for folder, took in sorted(seconds.items())
        if took > allowed.get(folder, 0)
    ]


class FolderTimes:
    """A plugin of the main process, which hears of the tests of all worker processes."""

    def __init__(self, config: pytest.Config) -> None:
        self.seconds: Counter[str] = Counter()
        self.tests: Counter[str] = Counter()
        is_quick = QUICK in str(config.getoption("markexpr", ""))
        self.budgets = budgets("test" if is_quick else "test-all")
        self.is_enforced = os.environ.get("CI") == "true"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up one phase of one test."""
        folder = folder_of(report.nodeid)
        self.seconds[folder] += report.duration  # pyright: ignore[reportArgumentType] -- seconds are no whole numbers
        self.tests[folder] += report.when == "call"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run in CI that is right and too slow."""
        if self.is_enforced and session.exitstatus == pytest.ExitCode.OK and self.found():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        write = terminalreporter.write_line
        write("")
        write(f"{'folder':<14} {'tests':>6} {'seconds':>8} {'budget':>7}")
        for folder, took in self.seconds.most_common():
            budget = self.budgets.get(folder, 0)
            write(f"{folder:<14} {self.tests[folder]:>6} {took:>8.1f} {budget:>7.0f}")
        for message in self.found():
            write(message, red=self.is_enforced, yellow=not self.is_enforced)

    def found(self) -> list[str]:
        """Return what is over its budget."""
        return over(self.seconds, self.budgets)
