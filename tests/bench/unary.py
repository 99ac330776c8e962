"""Single calls over grpcio beside what gRPC itself can do here, which answers and does nothing.

A pair is two calls, so 0.50 is the limit. The echo that counts is plain grpc.aio; the one on uvloop shows what is left
once its loop is as fast as ours. And the rate of a server that ten times as many call as it needs for its best rate,
without a pause between calls.
"""

from __future__ import annotations

from tests.bench.databases import Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import listening, rate, serving

CALLER = "tests.bench.callers.single_calls"
ECHO = "tests.bench.callers.echo_server"
BEST = 256
"""Calls in flight with which a server reaches its best rate."""
TIMES = 10


def unary(bench: Bench) -> list[Figure]:
    """Measure Authorize + Commit, 64 in flight over 4 connections."""
    return [figure for database in bench.databases for figure in _unary(bench, database)]


def _unary(bench: Bench, database: str) -> list[Figure]:
    pairs: list[float] = []
    plain: list[float] = []
    on_uvloop: list[float] = []

    def measured(address: str, kind: str, run: str) -> float:
        times = {"seconds": bench.seconds, "warm_up_s": bench.warm_up_s}
        return rate(CALLER, address, kind, "--run", run, **times)

    with bench.ledger(database) as url:
        for number in bench.turns():
            with listening(ECHO) as echo:
                plain.append(measured(echo.address, "calls", f"echo-{number}"))
            with serving(url) as server:
                pairs.append(measured(server.address, "pairs", f"unary-{number}"))
            with listening(ECHO, "--uvloop") as echo:
                on_uvloop.append(measured(echo.address, "calls", f"echo-uvloop-{number}"))
    name = f"{database}: unary pairs over grpcio, 64 in flight / raw grpc.aio echo calls"
    return [
        Figure(name, pairs, plain, at_least=0.40),
        Figure(f"{database}: the same / raw echo calls on uvloop", pairs, on_uvloop),
    ]


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


MEASURES = (
    Measure("unary", "unary pairs / raw grpc.aio echo calls", unary, 4.0),
    Measure("overload", "ten times the load / the best rate", overload, 2.0, rounds=3),
)
