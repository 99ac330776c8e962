"""Single calls over the transport `native` beside a raw echo over the same.

A pair is two calls, so 0.50 is the limit. The cheaper the transport, the more of a pair is the ledger's: what is
expected at least is less than over grpcio.
"""

from __future__ import annotations

from tests.bench.figure import Figure, Measure
from tests.bench.ground import Bench
from tests.bench.processes import listening, rate, serving

CALLER = "tests.bench.caller"
ECHO = "tests.bench.native_echo_server"


def native_unary(bench: Bench) -> list[Figure]:
    """Measure Authorize + Commit, 64 in flight over 4 connections."""
    return [figure for database in bench.databases for figure in _native_unary(bench, database)]


def _native_unary(bench: Bench, database: str) -> list[Figure]:
    pairs: list[float] = []
    echoes: list[float] = []
    over_grpcio: list[float] = []

    def measured(address: str, kind: str, run: str) -> float:
        times = {"seconds": bench.seconds, "warm_up_s": bench.warm_up_s}
        return rate(CALLER, address, kind, "--run", run, **times)

    with bench.ledger(database) as url:
        for number in bench.turns():
            with listening(ECHO) as echo:
                echoes.append(measured(echo.address, "calls", f"native-echo-{number}"))
            with serving(url, "--transport", "native") as server:
                pairs.append(measured(server.address, "pairs", f"native-{number}"))
            with serving(url) as server:
                over_grpcio.append(measured(server.address, "pairs", f"grpcio-{number}"))
    name = f"{database}: unary pairs over native, 64 in flight / raw native echo calls"
    return [
        Figure(name, pairs, echoes, at_least=0.20),
        Figure(f"{database}: the same / unary pairs over grpcio", pairs, over_grpcio),
    ]


MEASURES = (
    Measure("native", "unary pairs over native / raw native echo calls", native_unary, 4.0),
)
