"""Test time has a budget for each folder, and a run in CI that goes over one fails."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.repo.tree import ROOT, python_files
from tests.support.folder_times import FolderTimes, budgets, folder_of, over

CORES = 2
SLOWER = 2.5
"""A machine of less than half the speed, or busy with other work, still keeps the budgets."""
MINUTES_MAX = {"test": 4, "test-all": 25}
LEFT_TO_CHECK = {"test": {"repo"}, "test-all": set[str]()}


def folders() -> set[str]:
    return {
        folder_of(path.relative_to(ROOT).as_posix())
        for path in python_files("tests")
        if path.name.startswith("test_")
    }


@pytest.mark.parametrize("verb", MINUTES_MAX)
def test_every_folder_of_tests_has_a_budget(verb: str) -> None:
    tested = folders() - LEFT_TO_CHECK[verb]

    assert budgets(verb).keys() == tested, "give it one in tests/budgets.toml, or take it out"


@pytest.mark.parametrize("verb", MINUTES_MAX)
def test_the_budgets_add_up_to_what_a_run_may_take(verb: str) -> None:
    allowed_s = MINUTES_MAX[verb] * 60 * CORES * SLOWER

    assert sum(budgets(verb).values()) <= allowed_s


def test_a_folder_over_its_budget_is_named_with_what_to_do() -> None:
    (message,) = over({"core": 9.0, "rpc": 31.4}, {"core": 10, "rpc": 30})

    assert message.startswith("tests/rpc took 31 s of test time; its budget in tests/budgets.toml")
    assert over({"new": 0.1}, {"core": 10})


@pytest.mark.parametrize(("in_ci", "code"), [("true", 1), ("", 0)])
@pytest.mark.parametrize(("choice", "verb"), [("not thorough", "test"), ("", "test-all")])
def test_a_run_over_a_budget_fails_in_ci_alone(
    in_ci: str, code: int, choice: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", in_ci)
    config: Any = SimpleNamespace(getoption={"markexpr": choice}.get)
    times = FolderTimes(config)
    report: Any = SimpleNamespace(nodeid="tests/core/test_a.py::test_b", when="call", duration=0.1)
    session: Any = SimpleNamespace(exitstatus=0)

    times.pytest_runtest_logreport(report)
    times.pytest_sessionfinish(session)
    assert session.exitstatus == 0

    report.duration = budgets(verb)["core"]
    times.pytest_runtest_logreport(report)
    times.pytest_sessionfinish(session)
    assert session.exitstatus == code
