"""A Batch of 1,000 over grpcio beside the bare script: what the wire and the engine leave of the database's rate.

Client, server, lane and database share the machine's processors, and the script has all of them.
"""

from __future__ import annotations

from tests.bench.bare import postgres
from tests.bench.databases import POSTGRESQL, Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import rate, serving

CALLER = "tests.bench.callers.batches"


def batch(bench: Bench) -> list[Figure]:
    """Measure a Batch of 1,000 Authorize, then one of 1,000 Commit, by two callers of one process."""
    pairs: list[float] = []
    bare: list[float] = []
    times = {"seconds": bench.seconds, "warm_up_s": bench.warm_up_s}
    with bench.ledger(POSTGRESQL) as url, bench.ledger(POSTGRESQL) as beside:
        for number in bench.turns():
            bare.append(postgres.pairs_per_second(beside, run=f"bare-{number}", **times))
            with serving(url) as server:
                pairs.append(rate(CALLER, server.address, "--run", f"batch-{number}", **times))
    name = "PostgreSQL: pairs by Batch of 1,000 over grpcio / bare script, batches of 1,000"
    return [Figure(name, pairs, bare, at_least=0.75)]


MEASURES = (Measure("batch", "Batch of 1,000 over grpcio / bare script", batch, 1.5),)
