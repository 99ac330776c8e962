"""An account's overview after a million charges beside one after a thousand, in the same days and of the same prices.

The charges are filled in by SQL, as rows that `verify` accepts.
"""

from __future__ import annotations

import statistics
import time

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from tests.bench import filling
from tests.bench.databases import Bench
from tests.bench.figure import Figure, Measure
from tests.bench.ledger import account_id
from tests.bench.processes import serving
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

MANY, FEW = 1_000_000, 1_000
BIG, SMALL = account_id(0, 2), account_id(1, 2)
CALLS_LEAST = 3


def overview(bench: Bench) -> list[Figure]:
    """Measure GetOverview of all those days, by day, one call after another over grpcio; the median of a round."""
    return [_overview(bench, database) for database in bench.databases]


def _overview(bench: Bench, database: str) -> Figure:
    many = bench.scaled(MANY, FEW)
    found: dict[str, list[float]] = {SMALL: [], BIG: []}
    with bench.old_ledger(database, accounts=2) as url:
        filling.charge(url, [BIG], each=many)
        filling.charge(url, [SMALL], each=FEW, lane=1)
        with serving(url) as server, grpc.insecure_channel(server.address) as channel:
            stub = LedgerServiceStub(channel)
            for account, charges in ((BIG, many), (SMALL, FEW)):
                said = stub.GetOverview(_request(account)).total.requests
                if said != charges:
                    raise SystemExit(f"{said} charges in the overview, not {charges}")
            for _ in bench.turns():
                for account, medians in found.items():
                    medians.append(_median_ms(stub, account, bench.seconds / 4))
    name = f"{database}: overview of an account with {many:,} charges / with {FEW:,}"
    return Figure(name, found[BIG], found[SMALL], at_most=2.0, unit=" ms")


def _request(account: str) -> pb.GetOverviewRequest:
    now_s = int(time.time())
    return pb.GetOverviewRequest(
        account_id=account,
        start_time=Timestamp(seconds=now_s - 7 * 86_400),
        end_time=Timestamp(seconds=now_s + 1),
    )


def _median_ms(stub: LedgerServiceStub, account: str, seconds: float) -> float:
    request = _request(account)
    times: list[float] = []
    stop_at = time.perf_counter() + seconds
    while len(times) < CALLS_LEAST or time.perf_counter() < stop_at:
        begun = time.perf_counter()
        stub.GetOverview(request)
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


MEASURES = (Measure("overview", "overview after 1,000,000 charges / after 1,000", overview, 3.0),)
