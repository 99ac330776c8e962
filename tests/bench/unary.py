"""Single calls over grpcio beside what gRPC itself can do here, which answers and does nothing.

A pair is two calls, so 0.50 is the limit. The echo that counts is plain grpc.aio; the one on uvloop shows what is left
once its loop is as fast as ours.
"""

from __future__ import annotations

from tests.bench.databases import Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import listening, rate, serving

CALLER = "tests.bench.callers.single_calls"
ECHO = "tests.bench.callers.echo_server"


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


MEASURES = (Measure("unary", "unary pairs / raw grpc.aio echo calls", unary, 4.0),)
