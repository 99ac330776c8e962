"""Pairs of single calls at a constant rate, whatever the server does; prints the percentiles of all calls as JSON.

An Authorize counts from when its pair was due, so that one that waits because others are slow is slow as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from typing import TYPE_CHECKING

import grpc
import uvloop

from tests.bench.ledger import account_id
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

CALL_S = 60.0


async def load(address: str, *, rate: float, seconds: float, run: str) -> list[float]:
    """Return the latency of every call, in milliseconds."""
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub: LedgerServiceAsyncStub = LedgerServiceStub(channel)
        begun = time.perf_counter()

        async def pair(number: int, due: float) -> None:
            authorize = pb.AuthorizeRequest(
                account_id=account_id(number),
                method="GET",
                path="/v1/leads",
                request_id=f"{run}-{number}",
            )
            answer = await stub.Authorize(authorize, timeout=CALL_S)
            authorized = time.perf_counter()
            held = answer.reservation.reservation_id
            settled = await stub.Commit(
                pb.CommitRequest(reservation_id=held, http_status=200), timeout=CALL_S
            )
            if settled.state != pb.RESERVATION_STATE_COMMITTED:
                raise SystemExit(f"not committed: {settled}")
            latencies.append((authorized - due) * 1000)
            latencies.append((time.perf_counter() - authorized) * 1000)

        async with asyncio.TaskGroup() as pairs:
            for number in range(int(rate * seconds)):
                due = begun + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                pairs.create_task(pair(number, due))
    return latencies


async def measure(given: argparse.Namespace) -> dict[str, float]:
    """Call for a while, and then measure."""
    await load(given.address, rate=given.rate, seconds=given.warm_up, run=f"{given.run}-warm")
    found = await load(given.address, rate=given.rate, seconds=given.seconds, run=given.run)
    percentiles = statistics.quantiles(found, n=100)
    return {"p50_ms": percentiles[49], "p99_ms": percentiles[98], "calls": len(found)}


def main() -> None:
    """Run one load and print what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--run", required=True)
    parser.add_argument("--rate", type=float, required=True, help="pairs a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, required=True)
    print(json.dumps(uvloop.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
