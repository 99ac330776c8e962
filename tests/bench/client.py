"""The Python client beside the same callers on stubs, and beside sessions: what its batches save of gRPC."""

from __future__ import annotations

from tests.bench.databases import POSTGRESQL, Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import figures, serving

CALLERS = "tests.bench.callers.python_client"
SESSIONS = "tests.bench.callers.sessions"


def client(bench: Bench) -> list[Figure]:
    """Measure 256 callers of one process over one connection, and sessions from a process too."""
    return [figure for database in bench.databases for figure in _client(bench, database)]


def _client(bench: Bench, database: str) -> list[Figure]:
    unary: list[float] = []
    batched: list[float] = []
    sessions: list[float] = []
    idle: list[float] = []
    times = {"seconds": bench.seconds, "warm_up_s": bench.warm_up_s}
    with bench.ledger(database) as url:
        for number in bench.turns():
            with serving(url) as server:
                run = ("unary", "--run", f"unary-{number}")
                unary.append(figures(CALLERS, server.address, *run, **times)[0])
            with serving(url) as server:
                run = ("batched", "--run", f"batched-{number}")
                found = figures(CALLERS, server.address, *run, **times)
                batched.append(found[0])
                idle.append(found[1])
            with serving(url) as server:
                run = ("--run", f"sessions-{number}")
                sessions += figures(SESSIONS, server.address, *run, **times)
    name = f"{database}: Python client, 256 callers"
    beside_stubs = Figure(f"{name} / the same on stubs, a call each", batched, unary)
    beside_sessions = Figure(f"{name} / 64 groups of 100 in Sessions", batched, sessions)
    share = Figure(f"{name}: idle / all processors", idle, [1.0] * len(idle), unit="")
    if database == POSTGRESQL:
        beside_stubs = beside_stubs._replace(at_least=4.5)
        beside_sessions = beside_sessions._replace(at_least=0.65)
        share = share._replace(at_most=0.12)
    return [beside_stubs, beside_sessions, share]


MEASURES = (Measure("client", "Python client / the same on stubs, and Sessions", client, 4.5),)
