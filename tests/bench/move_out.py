"""`python -m tests.bench.move_out`: what moving old reservations out costs the calls that come meanwhile.

A steady load, open-loop: each pair of Authorize and Commit begins at its time, whatever became of those before it, and
its latency counts from then. Rounds with and without a move-out take turns on one ledger, which is full of reservations
that are to be moved out; the median of the rounds' ratios counts. By default they have been due for minutes, as where a
move-out keeps up; `--behind` says how many hours longer.
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
from tollkeeper.core.paths import parse
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.engines import create_cold_engine
from tollkeeper.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_US = 86_400_000_000
DUE_US = 7 * DAY_US + 120_000_000
CALLERS = 256
NEVER_S = 1e9
_PATH = parse("/v1/leads")


class Measured(NamedTuple):
    """One round: the latencies of its calls in milliseconds, and how many reservations were moved out."""

    latencies_ms: list[float]
    moved: int

    def percentile(self, percent: int) -> float:
        """Return a percentile of the latencies."""
        return statistics.quantiles(self.latencies_ms, n=100)[percent - 1]


async def fill(url: str, count: int, behind_us: int = 0) -> None:
    """Give a fresh database its accounts, and charges that are due, by an engine whose clock is that late."""
    store = open_store(url, clock=lambda: time.time_ns() // 1_000 - DUE_US - behind_us)
    engine = Engine(store)
    await engine.start(sweep=False)

    async def caller(number: int) -> None:
        for turn in range(count // CALLERS):
            await _pair(engine, f"old-{number}-{turn}", number + CALLERS * turn)

    try:
        await ledger.open_accounts(engine)
        await asyncio.gather(*[caller(number) for number in range(CALLERS)])
    finally:
        await engine.stop()
        store.close()


async def measure(
    url: str, *, moving: bool, rate: int, seconds: float, share: float, batch: int, run: str
) -> Measured:
    """Load a running engine for some seconds; moving out begins with the load."""
    settings = EngineSettings(
        move_out_every_s=0.01 if moving else NEVER_S, move_out_share=share, move_out_batch=batch
    )
    before = _left(url)
    async with ledger.running_engine(url, settings) as engine:
        await _load(engine, rate=rate, seconds=0.5, run=f"{run}-warm")
        latencies = await _load(engine, rate=rate, seconds=seconds, run=run)
    return Measured(latencies, before - _left(url))


async def _load(engine: Engine, *, rate: int, seconds: float, run: str) -> list[float]:
    begun = time.perf_counter()
    latencies: list[float] = []
    pairs: list[asyncio.Task[None]] = []

    async def pair(number: int, due: float) -> None:
        name, authorized = await _pair(engine, f"{run}-{number}", number)
        del name
        ended = time.perf_counter()
        latencies.append((authorized - due) * 1_000)
        latencies.append((ended - authorized) * 1_000)

    for number in range(int(rate * seconds)):
        due = begun + number / rate
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


def _compare(url: str, arguments: argparse.Namespace) -> tuple[list[Measured], list[Measured]]:
    rounds: dict[bool, list[Measured]] = {True: [], False: []}
    for number in range(arguments.rounds):
        for moving in (False, True) if number % 2 else (True, False):
            done = uvloop.run(
                measure(
                    url,
                    moving=moving,
                    rate=arguments.rate,
                    seconds=arguments.seconds,
                    share=arguments.share,
                    batch=arguments.batch,
                    run=f"{number}-{moving}",
                )
            )
            rounds[moving].append(done)
    return rounds[True], rounds[False]


def _row(
    name: str, moving: Sequence[Measured], still: Sequence[Measured], seconds: float
) -> list[str]:
    def of(rounds: Sequence[Measured], percent: int) -> float:
        return statistics.median(each.percentile(percent) for each in rounds)

    def ratio(percent: int) -> str:
        pairs = zip(moving, still, strict=True)
        ratios = [one.percentile(percent) / other.percentile(percent) for one, other in pairs]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    moved = statistics.median(each.moved for each in moving) / seconds
    return [
        name,
        *[f"{of(still, p):.1f}" for p in (50, 99)],
        *[f"{of(moving, p):.1f}" for p in (50, 99)],
        ratio(99),
        f"{moved:,.0f}",
    ]


def main() -> int:
    """Measure both databases and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.move_out")
    parser.add_argument("--old", type=int, default=100_000, help="reservations that are due")
    parser.add_argument("--behind", type=float, default=0.0, help="for how many hours longer")
    parser.add_argument("--rate", type=int, default=400, help="pairs a second")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--share", type=float, default=EngineSettings().move_out_share)
    parser.add_argument("--batch", type=int, default=EngineSettings().move_out_batch)
    parser.add_argument("--only", choices=["SQLite", "PostgreSQL"])
    arguments = parser.parse_args()
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server was found; install one")
    table = Table(title=f"{arguments.rate} pairs a second; latencies in ms")
    for column in (
        "",
        "p50 without",
        "p99 without",
        "p50 with",
        "p99 with",
        "p99 ratio",
        "moved/s",
    ):
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
            asyncio.run(fill(url, arguments.old, int(arguments.behind * 3_600_000_000)))
            moving, still = _compare(url, arguments)
            if not _left(url):
                name = f"{name} (ran out of old ones)"  # noqa: PLW2901 - only told
            table.add_row(*_row(name, moving, still, arguments.seconds + 0.5))
            ledger.assert_sound(url)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
