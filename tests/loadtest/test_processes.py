"""How many processes send a load, with how many connections."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import pytest

from tests.loadtest.runs import loadtest
from tollkeeper_loadtest.settings import generators_for

if TYPE_CHECKING:
    from tests.cli.processes import Serving


@pytest.mark.parametrize(
    ("processors", "callers", "chosen"),
    [(1, 64, 1), (2, 64, 2), (16, 64, 2), (16, 1, 1), (16, None, 2), (1, None, 1)],
)
def test_a_load_has_no_more_generators_than_processors_and_callers(
    processors: int, callers: int | None, chosen: int
) -> None:
    assert generators_for(processors, callers) == chosen


@pytest.mark.thorough
def test_several_processes_share_the_load(server: Serving) -> None:
    ended = loadtest(
        *("--server", server.address, "--processes", "3", "--rate", "90", "--duration", "1")
    )

    assert ended.code == 0, ended.out
    assert len(ended.json["load"]["busy"]) == 3
    assert ended.json["load"]["sent"] == 90


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("more", "processes", "connections"),
    [
        ((), 2, 2),
        (("--mode", "client"), 2, 1),
        (("--callers", "1"), 1, 4),
        (("--callers", "1", "--rate", "50"), 2, 2),
        (("--processes", "1"), 1, 4),
        (("--connections", "3"), 2, 3),
    ],
)
def test_a_load_has_two_generators_where_there_are_processors_and_callers_for_them(
    more: tuple[str, ...], processes: int, connections: int, server: Serving
) -> None:
    with mock.patch("os.sched_getaffinity", return_value={0, 1, 2, 3}, create=True):
        ended = loadtest(
            *("--server", server.address, "--processes", "0", "--count", "40", "--duration", "1"),
            *more,
        )

    assert ended.code == 0, ended.out
    settings = ended.json["settings"]
    assert (settings["processes"], settings["connections"]) == (processes, connections)
    assert len(ended.json["load"]["busy"]) == processes
    assert ended.json["load"]["sent"] == 40
