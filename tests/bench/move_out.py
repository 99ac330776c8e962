"""`python -m tests.bench.move_out`: what moving old reservations out costs the calls that come meanwhile.

A steady load, open-loop: each pair of Authorize and Commit begins at its time, whatever became of those before it, and
its latency counts from then. Rounds with and without a move-out take turns on one ledger, which is full of reservations
that are to be moved out; the median of the rounds' ratios counts. By default they have been due for minutes, as where a
move-out keeps up; `--behind` says how many hours longer.

`--steady` measures what comes of it in the long run: as many fall due as are made. Time runs faster for it: what ended
is kept for seconds, and the durations by which a mover goes are divided by `--faster`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from tests.bench import ledger
from tests.bench.ledger import account_id
from tests.support.postgres import find_binaries, running_postgres
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Authorize, Commit
from tollkeeper.core.pricing.paths import parse
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.connections.engines import create_cold_engine
from tollkeeper.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_US = 86_400_000_000
DUE_US = 7 * DAY_US + 120_000_000
US_PER_S = 1_000_000
CALLERS = 256
NEVER_S = 1e9
COLUMNS = (
    "",
    "p50 without",
    "p99 without",
    "p50 with",
    "p99 with",
    "p99 ratio",
    "moved/s",
    "s behind",
)
_PATH = parse("/v1/leads")


class Measured(NamedTuple):
    """One round: the latencies of its calls in milliseconds, and how many reservations were moved out in a second.

    `behind_s` is how long the first in line had been due: when the measure began, in the middle, and at its end.
    """

    latencies_ms: list[float]
    moved_per_s: float
    behind_s: tuple[float, ...] = ()

    def percentile(self, percent: int) -> float:
        """Return a percentile of the latencies."""
        return statistics.quantiles(self.latencies_ms, n=100)[percent - 1]


async def fill(url: str, count: int, behind_us: int = 0, accounts: int = ledger.ACCOUNTS) -> None:
    """Give a fresh database its accounts, and charges that are due, by an engine whose clock is that late."""
    store = open_store(url, clock=lambda: time.time_ns() // 1_000 - DUE_US - behind_us)
    engine = Engine(store)
    await engine.start(sweep=False)

    async def caller(number: int) -> None:
        for turn in range(count // CALLERS):
            await _pair(engine, f"old-{number}-{turn}", (number + CALLERS * turn) % accounts)

    try:
        await ledger.open_accounts(engine)
        await asyncio.gather(*[caller(number) for number in range(CALLERS)])
    finally:
        await engine.stop()
        store.close()


async def measure(url: str, given: argparse.Namespace, *, moving: bool, run: str) -> Measured:
    """Load a running engine for some seconds; moving out begins with the load."""
    settings = EngineSettings(
        move_out_every_s=0.01 if moving else NEVER_S,
        move_out_share=given.share,
        move_out_batch=given.batch,
    )
    before = _left(url)
    async with ledger.running_engine(url, settings) as engine:
        await _load(engine, given, seconds=0.5, run=f"{run}-warm")
        latencies = await _load(engine, given, seconds=given.seconds, run=run)
    return Measured(latencies, (before - _left(url)) / (given.seconds + 0.5))


async def measure_steady(
    url: str, given: argparse.Namespace, *, moving: bool, run: str
) -> Measured:
    """Load a running engine until what it made falls due, and for as long again as it takes to settle, then measure."""
    usual = EngineSettings()
    settings = EngineSettings(
        retention_us=int(given.kept * US_PER_S),
        late_window_us=int(given.kept * US_PER_S),
        move_out_every_s=usual.move_out_every_s / given.faster if moving else NEVER_S,
        move_out_behind_s=usual.move_out_behind_s / given.faster,
        move_out_share=given.share,
        move_out_batch=given.batch,
    )
    async with ledger.running_engine(url, settings) as engine:
        await engine.move_out()  # what the round before has left
        await _load(engine, given, seconds=given.kept + given.settle, run=f"{run}-warm")
        before, behind = await asyncio.to_thread(_state, url, settings)
        latencies: list[float] = []
        behinds = [behind]
        after = before
        for half in range(2):
            latencies += await _load(engine, given, seconds=given.seconds / 2, run=f"{run}-{half}")
            after, behind = await asyncio.to_thread(_state, url, settings)
            behinds.append(behind)
    made = int(given.rate * given.seconds / 2) * 2
    return Measured(latencies, (before + made - after) / given.seconds, tuple(behinds))


def _state(url: str, settings: EngineSettings) -> tuple[int, float]:
    """Return how many reservations there are, and for how many seconds the first of them has been due."""
    engine = create_cold_engine(url)
    with engine.connect() as connection:
        question = text("SELECT count(*), min(settled_us) FROM reservation WHERE state <> 1")
        count, first_us = connection.execute(question).one()
    engine.dispose()
    behind_us = time.time_ns() // 1_000 - settings.retention_us - int(first_us)
    return int(count), max(0.0, behind_us / US_PER_S)


async def _load(
    engine: Engine, given: argparse.Namespace, *, seconds: float, run: str
) -> list[float]:
    begun = time.perf_counter()
    latencies: list[float] = []
    pairs: list[asyncio.Task[None]] = []

    async def pair(number: int, due: float) -> None:
        name, authorized = await _pair(engine, f"{run}-{number}", number % given.accounts)
        del name
        ended = time.perf_counter()
        latencies.append((authorized - due) * 1_000)
        latencies.append((ended - authorized) * 1_000)

    for number in range(int(given.rate * seconds)):
        due = begun + number / given.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        pairs.append(asyncio.create_task(pair(number, due)))
    await asyncio.gather(*pairs)
    return latencies


async def _pair(engine: Engine, request_id: str, number: int) -> tuple[str, float]:
    answer = await engine.authorize(Authorize(account_id(number), "GET", _PATH, request_id))
    if not isinstance(answer, Authorized) or answer.reservation is None:
        raise SystemExit(f"unexpected answer: {answer}")
    authorized = time.perf_counter()
    await engine.commit(Commit(answer.reservation, http_status=200))
    return str(answer.reservation), authorized


def _left(url: str) -> int:
    engine = create_cold_engine(url)
    with engine.connect() as connection:
        question = text("SELECT count(*) FROM reservation WHERE created_us < :before")
        before_us = time.time_ns() // 1_000 - DAY_US
        found = connection.execute(question, {"before": before_us}).scalar_one()
    engine.dispose()
    return int(found)


def _compare(url: str, given: argparse.Namespace) -> tuple[list[Measured], list[Measured]]:
    rounds: dict[bool, list[Measured]] = {True: [], False: []}
    how = measure_steady if given.steady else measure
    for number in range(given.rounds):
        for moving in (False, True) if number % 2 else (True, False):
            done = uvloop.run(how(url, given, moving=moving, run=f"{number}-{moving}"))
            rounds[moving].append(done)
    return rounds[True], rounds[False]


def _row(name: str, moving: Sequence[Measured], still: Sequence[Measured]) -> list[str]:
    def of(rounds: Sequence[Measured], percent: int) -> float:
        return statistics.median(each.percentile(percent) for each in rounds)

    def ratio(percent: int) -> str:
        pairs = zip(moving, still, strict=True)
        ratios = [one.percentile(percent) / other.percentile(percent) for one, other in pairs]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    behind = zip(*[each.behind_s for each in moving], strict=True)
    return [
        name,
        *[f"{of(still, p):.1f}" for p in (50, 99)],
        *[f"{of(moving, p):.1f}" for p in (50, 99)],
        ratio(99),
        f"{statistics.median(each.moved_per_s for each in moving):,.0f}",
        ", ".join(f"{statistics.median(each):.1f}" for each in behind),
    ]


def main() -> int:
    """Measure both databases and print a table."""
    arguments = _arguments()
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server was found; install one")
    table = Table(title=f"{arguments.rate} pairs a second; latencies in ms")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        cluster = stack.enter_context(
            running_postgres(binaries=binaries, fsync=True, parent=folder.parent)
        )
        for name in ("SQLite", "PostgreSQL"):
            if arguments.only not in (None, name):
                continue
            file = f"sqlite:///{folder / 'bench.db'}"
            url = file if name == "SQLite" else cluster.create_database()
            ledger.migrate.upgrade(url)
            old = 0 if arguments.steady else arguments.old
            behind_us = int(arguments.behind * 3_600 * US_PER_S)
            asyncio.run(fill(url, old, behind_us, arguments.accounts))
            moving, still = _compare(url, arguments)
            if not arguments.steady and not _left(url):
                name = f"{name} (ran out of old ones)"  # noqa: PLW2901 - only told
            table.add_row(*_row(name, moving, still))
            ledger.assert_sound(url)
    Console(width=120).print(table)
    return 0


def _arguments() -> argparse.Namespace:
    usual = EngineSettings()
    parser = argparse.ArgumentParser(prog="python -m tests.bench.move_out")
    parser.add_argument("--old", type=int, default=100_000, help="reservations that are due")
    parser.add_argument("--behind", type=float, default=0.0, help="for how many hours longer")
    parser.add_argument("--rate", type=int, default=400, help="pairs a second")
    parser.add_argument("--accounts", type=int, default=ledger.ACCOUNTS, help="that are charged")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--share", type=float, default=usual.move_out_share)
    parser.add_argument("--batch", type=int, default=usual.move_out_batch)
    parser.add_argument("--steady", action="store_true", help="as many fall due as are made")
    parser.add_argument("--kept", type=float, default=4.0, help="seconds after the end, if steady")
    parser.add_argument("--settle", type=float, default=6.0, help="seconds before the measure")
    parser.add_argument("--faster", type=float, default=200.0, help="than time runs, if steady")
    parser.add_argument("--only", choices=["SQLite", "PostgreSQL"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
