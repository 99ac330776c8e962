"""The Python client beside the same callers on stubs: what its batches save of gRPC, and what they do not."""

from __future__ import annotations

from tests.bench.databases import Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import rate, serving

CALLERS = "tests.bench.callers.python_client"


def client(bench: Bench) -> list[Figure]:
    """Measure 256 callers of one process, over one connection in both."""
    return [_client(bench, database) for database in bench.databases]


def _client(bench: Bench, database: str) -> Figure:
    found: dict[str, list[float]] = {"unary": [], "batched": []}
    with bench.ledger(database) as url:
        for number in bench.turns():
            for kind, rates in found.items():
                with serving(url) as server:
                    run = ("--run", f"{kind}-{number}")
                    times = {"seconds": bench.seconds, "warm_up_s": bench.warm_up_s}
                    rates.append(rate(CALLERS, server.address, kind, *run, **times))
    name = f"{database}: Python client, 256 callers / the same on stubs, a call each"
    return Figure(name, found["batched"], found["unary"], at_least=6.0)


MEASURES = (Measure("client", "Python client / the same callers on stubs", client, 3.0),)
