"""How much slower the slow calls are at half of what the server can do, with calls that come by themselves.

`tollkeeper loadtest` sends them, single calls over grpcio to a server of its own: at first as many as 64 callers can
get, which is taken for the maximum, then half as many a second, whatever the server does; latencies count from when
each was due. It compares the ledger with every answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.bench.databases import Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import said

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_RATE = 20.0


def open_loop(bench: Bench) -> list[Figure]:
    """Measure p99 and p50 of the call of the two, Authorize and Commit, for which their ratio is worse."""
    return [_open_loop(bench, database) for database in bench.databases]


def _open_loop(bench: Bench, database: str) -> Figure:
    p99: list[float] = []
    p50: list[float] = []
    with bench.ledger(database) as url:
        for _ in bench.turns():
            most = _loaded(bench, url, bench.seconds)["load"]["requests_per_s"]
            rate = max(LEAST_RATE, most / 2)
            found = _loaded(bench, url, 2 * bench.seconds, "--rate", str(rate))["latency_us"]
            slow, usual = max(_percentiles(found), key=lambda pair: pair[0] / pair[1])
            p99.append(slow / 1000)
            p50.append(usual / 1000)
    name = f"{database}: unary calls at half the maximum rate, open loop, p99 / p50"
    return Figure(name, p99, p50, at_most=6.0, unit=" ms")


def _percentiles(latency_us: dict[str, Any]) -> Iterator[tuple[float, float]]:
    for call in ("authorize", "settle"):
        yield latency_us[call]["p99"], latency_us[call]["p50"]


def _loaded(bench: Bench, url: str, seconds: float, *more: str) -> dict[str, Any]:
    arguments = (
        *("loadtest", "--database", url, "--json", "--accounts", "200", "--expired", "0"),
        *("--endpoint", "GET /v1/leads", "--mix", "200=1", "--processes", "1"),
        *("--duration", str(seconds), "--warm-up", str(bench.warm_up_s), *more),
    )
    return json.loads(said("tollkeeper", *arguments, timeout_s=120 + 4 * seconds))


MEASURES = (Measure("open-loop", "p99 / p50 at half the maximum rate", open_loop, 5.0, rounds=3),)
