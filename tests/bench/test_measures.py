"""Measurements can be made: for a moment each, so that what they say of speed means nothing.

Those that start many processes are left to `make bench`.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from tests.bench import client_alone
from tests.bench.__main__ import MEASURES
from tests.bench.databases import POSTGRESQL, SQLITE, Bench, open_databases
from tests.bench.report import cells
from tests.support.postgres import find_binaries

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres

    Databases = tuple[Postgres, Path, Iterator[int]]

MADE = (
    ("engine", POSTGRESQL),
    ("engine", SQLITE),
    ("overview", POSTGRESQL),
    ("overview", SQLITE),
    ("batch", POSTGRESQL),
    ("client", SQLITE),
    ("large", POSTGRESQL),
)
"""A measurement for each statement and each caller of this folder's own."""

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.thorough,
    pytest.mark.skipif(find_binaries() is None, reason="needs a PostgreSQL server's binaries"),
]


@pytest.fixture(scope="module")
def databases() -> Generator[Databases]:
    with open_databases() as opened:
        yield opened


@pytest.mark.parametrize(("name", "database"), MADE)
def test_a_measure_gives_figures_and_leaves_its_ledger_sound(
    name: str, database: str, databases: Databases
) -> None:
    measure = next(each for each in MEASURES if each.name == name)
    rounds: list[int] = []
    bench = Bench(
        *databases,
        rounds=1,
        seconds=0.1,
        step=lambda: rounds.append(1),
        databases=(database,),
        scale=0.001,
    )

    figures = measure.run(bench)

    assert figures
    assert len(rounds) == 1
    for figure in figures:
        assert len(figure.measured) == len(figure.beside) == 1
        assert all(0 < each < math.inf for each in figure.beside)
        # No processor may have been idle in a run so short.
        least = 0 if "idle" in figure.name else math.ulp(0)
        assert all(least <= each < math.inf for each in figure.measured)
        assert cells(figure)[0] == figure.name


def test_the_client_is_measured_without_a_server() -> None:
    assert 0 < asyncio.run(client_alone.measure(2)) < math.inf
