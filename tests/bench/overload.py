"""The rate of a server that ten times as many call as it needs for its best rate, without a pause between calls."""

from __future__ import annotations

from tests.bench.databases import Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import rate, serving

CALLER = "tests.bench.callers.single_calls"
BEST = 256
TIMES = 10


def overload(bench: Bench) -> list[Figure]:
    """Measure pairs of single calls over 4 connections, 256 and 2,560 in flight."""
    return [_overload(bench, database) for database in bench.databases]


def _overload(bench: Bench, database: str) -> Figure:
    found: dict[int, list[float]] = {BEST: [], TIMES * BEST: []}
    times = {"seconds": bench.seconds, "warm_up_s": bench.warm_up_s}
    with bench.ledger(database) as url:
        for number in bench.turns():
            for in_flight, rates in found.items():
                with serving(url) as server:
                    run = ("--run", f"{in_flight}-{number}", "--in-flight", str(in_flight))
                    rates.append(rate(CALLER, server.address, "pairs", *run, **times))
    name = f"{database}: unary pairs over grpcio, {TIMES * BEST:,} in flight / {BEST}"
    return Figure(name, found[TIMES * BEST], found[BEST], at_least=0.8)


MEASURES = (Measure("overload", "ten times the load / the best rate", overload, 2.0, rounds=3),)
