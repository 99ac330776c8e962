"""`make bench`: what the ledger reaches of what it stands on, as ratios within one run.

The machine may be slow and noisy: what is compared takes turns, round by round, and the median of the rounds'
ratios counts. Absolute figures are printed to be looked at, not to be compared between runs. Every ledger is verified
after it was measured; one that is not sound has no speed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench import (
    batch,
    beside_batches,
    client,
    engine,
    large,
    memory,
    open_loop,
    overview,
    unary,
)
from tests.bench.databases import DATABASES, Bench, open_databases
from tests.bench.figure import Figure
from tests.bench.report import add_to_json, markdown, screen_table

if TYPE_CHECKING:
    from tests.bench.figure import Measure

MEASURES: tuple[Measure, ...] = (
    *engine.MEASURES,
    *unary.MEASURES,
    *client.MEASURES,
    *batch.MEASURES,
    *overview.MEASURES,
    *open_loop.MEASURES,
    *beside_batches.MEASURES,
    *memory.MEASURES,
    *large.MEASURES,
)


def measure(measures: list[Measure], given: argparse.Namespace, console: Console) -> list[Figure]:
    """Take the measures one after another."""
    figures: list[Figure] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
    with open_databases() as (cluster, folder, numbers), progress:
        whole = progress.add_task("measures", total=len(measures))
        for each in measures:
            rounds = progress.add_task(f"{each.name}: rounds", total=None)
            bench = Bench(
                cluster=cluster,
                folder=folder,
                numbers=numbers,
                rounds=given.rounds or each.rounds,
                seconds=given.seconds,
                step=lambda task=rounds: progress.advance(task),
                databases=(given.database,) if given.database else DATABASES,
                soak=given.soak,
            )
            begun = time.perf_counter()
            found = each.run(bench)
            progress.remove_task(rounds)
            progress.advance(whole)
            minutes = (time.perf_counter() - begun) / 60
            console.print(f"{each.name}: {minutes:.1f} minutes", highlight=False)
            if given.json is not None:
                add_to_json(given.json, found)
            figures += found
    return figures


def chosen(only: list[str] | None, *, whole: bool) -> list[Measure]:
    """Return the measures that are named; else all that are not large, or all."""
    if not only:
        return [each for each in MEASURES if whole or not each.large]
    return [each for each in MEASURES if each.name in only]


def main() -> int:
    """Measure, print a table, and exit 1 where a figure misses its bound."""
    names = [each.name for each in MEASURES]
    width = max(map(len, names))
    parser = argparse.ArgumentParser(
        prog="make bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="measures, and about how many minutes each takes:\n"
        + "\n".join(
            f"  {each.name:{width}}  {each.minutes:4.1f}  {each.what}"
            + (" (with --large or by name)" if each.large else "")
            for each in MEASURES
        ),
    )
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="measure these")
    parser.add_argument("--large", action="store_true", help="fill and measure a large ledger too")
    parser.add_argument("--soak", action="store_true", help="memory: ten million operations")
    parser.add_argument("--database", choices=DATABASES, help="where a figure is of either")
    parser.add_argument("--rounds", type=int, help="of each measure, instead of its own number")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, or add them")
    given = parser.parse_args()
    # Whoever ends us ends our servers with us.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    console = Console(stderr=True)
    figures = measure(chosen(given.only, whole=given.large), given, console)
    if given.markdown:
        print(markdown(figures))
    else:
        Console().print(screen_table(figures))
    return 1 if any(figure.short for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
