"""`make bench`: what the ledger reaches of what it stands on, as ratios within one run.

The machine may be slow and noisy: what is compared takes turns, round by round, and the median of the rounds'
ratios counts. Absolute figures are printed to be looked at, not to be compared between runs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench import engine_pairs, ledger
from tests.support.postgres import find_binaries, running_postgres
from tollkeeper.engine.settings import EngineSettings

ROOT = Path(__file__).resolve().parents[2]

SINGLE = EngineSettings(batch_max=1, lanes=8)
"""One transaction a call. Eight connections on PostgreSQL, where one would be slower still; SQLite has one writer."""


class Figure(NamedTuple):
    """One line of the report: what was measured, beside what, and the least expected (None: nothing)."""

    name: str
    measured: list[float]
    beside: list[float]
    at_least: float | None

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self._ratios())

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest of the rounds' ratios."""
        return min(self._ratios()), max(self._ratios())

    @property
    def short(self) -> bool:
        """Whether it falls short of what is expected."""
        return self.at_least is not None and self.ratio < self.at_least

    def _ratios(self) -> list[float]:
        pairs = zip(self.measured, self.beside, strict=True)
        return [measured / beside for measured, beside in pairs]


def _unary(
    name: str, url: str, rounds: int, seconds: float, step: Callable[[], None]
) -> list[Figure]:
    """Authorize + Commit over gRPC, beside the calls of a raw echo; two calls a pair, so 0.5 is the limit.

    The echo that counts is plain grpc.aio; the one on uvloop shows what is left once the loop is as fast as ours.
    """
    pairs: list[float] = []
    plain: list[float] = []
    on_uvloop: list[float] = []
    serve = ["tollkeeper", "serve", "--listen", "127.0.0.1:0", "--database", url]
    for number in range(rounds):
        with _listening("tests.bench.echo_server") as address:
            plain.append(_rate(address, "calls", seconds, f"echo-{number}"))
        with _listening(*serve) as address:
            pairs.append(_rate(address, "pairs", seconds, f"unary-{name}-{number}"))
        with _listening("tests.bench.echo_server", "--uvloop") as address:
            on_uvloop.append(_rate(address, "calls", seconds, f"echo-uvloop-{number}"))
        step()
    return [
        Figure(f"{name}: unary pairs, 64 in flight / raw grpc.aio echo calls", pairs, plain, 0.35),
        Figure(f"{name}: the same / raw echo calls on uvloop", pairs, on_uvloop, None),
    ]


def _engine(name: str, url: str, rounds: int, seconds: float, step: Callable[[], None]) -> Figure:
    """Batches by nature, beside one transaction a call: the same statements over up to eight connections."""
    batches: list[float] = []
    singles: list[float] = []
    for number in range(rounds):
        for rates, settings in ((singles, SINGLE), (batches, EngineSettings())):
            run = f"engine-{name}-{settings.batch_max}-{number}"
            measure = engine_pairs.pairs_per_second(url, settings, seconds=seconds, run=run)
            rates.append(uvloop.run(measure))
        step()
    return Figure(
        f"{name}: engine pairs, 256 callers / one transaction a call", batches, singles, 5.0
    )


def _client(name: str, url: str, rounds: int, seconds: float, step: Callable[[], None]) -> Figure:
    """The Python client, beside the same callers on stubs: what batches save of gRPC, and what they do not."""
    batched: list[float] = []
    unary: list[float] = []
    serve = ["tollkeeper", "serve", "--listen", "127.0.0.1:0", "--database", url]
    for number in range(rounds):
        for kind, rates in (("unary", unary), ("batched", batched)):
            with _listening(*serve) as address:
                run = f"client-{kind}-{name}-{number}"
                rates.append(_rate(address, kind, seconds, run, "tests.bench.client_callers"))
        step()
    return Figure(f"{name}: client pairs, 256 callers / the same on stubs", batched, unary, 6.0)


@contextmanager
def _listening(module: str, *arguments: str) -> Generator[str]:
    """Run a server in a process of its own; its address is the last word of its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(timeout=60)


def _rate(
    address: str, kind: str, seconds: float, run: str, module: str = "tests.bench.caller"
) -> float:
    command = [sys.executable, "-m", module, address, kind]
    done = subprocess.run(
        [*command, "--seconds", str(seconds), "--run", run],
        check=True,
        capture_output=True,
        text=True,
        timeout=60 + 4 * seconds,
        env=os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python")},
    )
    return float(done.stdout)


def _table(figures: list[Figure]) -> Table:
    table = Table(title="ratios within this run: median of the rounds (lowest to highest)")
    for heading in ("figure", "a second", "beside", "ratio", "at least", ""):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for figure in figures:
        low, high = figure.spread
        table.add_row(
            figure.name,
            f"{statistics.median(figure.measured):,.0f}",
            f"{statistics.median(figure.beside):,.0f}",
            f"{figure.ratio:.2f} ({low:.2f} to {high:.2f})",
            "" if figure.at_least is None else f"{figure.at_least:.2f}",
            "short" if figure.short else "",
        )
    return table


def main() -> int:
    """Measure, print a table, and exit 1 where a figure falls short."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    console = Console()
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit(
            "no PostgreSQL server was found; install one, for example Debian's postgresql"
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        cluster = stack.enter_context(
            running_postgres(binaries=binaries, fsync=True, parent=folder.parent)
        )
        urls = {
            "SQLite": f"sqlite:///{folder / 'bench.db'}",
            "PostgreSQL": cluster.create_database(),
        }
        for url in urls.values():
            asyncio.run(ledger.fill(url))
        progress = stack.enter_context(Progress(console=console, transient=True))
        figures: list[Figure] = []
        steps = progress.add_task("measuring", total=3 * len(urls) * arguments.rounds)

        def step() -> None:
            progress.advance(steps)

        for name, url in urls.items():
            figures += _unary(name, url, arguments.rounds, arguments.seconds, step)
            figures.append(_engine(name, url, arguments.rounds, arguments.seconds, step))
            figures.append(_client(name, url, arguments.rounds, arguments.seconds, step))
            ledger.assert_sound(url)
    console.print(_table(figures))
    return 1 if any(figure.short for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
