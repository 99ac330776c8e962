"""256 callers of one process that pay for one request after another; prints how many pairs ended in a
second, and which share of the processors was idle.

`batched` is the Python client; `unary` the same callers with a call of its own for each step, over one connection too.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import grpc
import uvloop

from tests.bench.ledger import account_id
from tests.bench.processors import Ticks
from tollkeeper.v1 import ledger_pb2, ledger_pb2_grpc
from tollkeeper_client import AsyncClient, Held

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Pair: TypeAlias = Callable[[str, str], Awaitable[None]]

CALLERS = 256
CALL_S = 30.0


@asynccontextmanager
async def batched(address: str) -> AsyncGenerator[Pair]:
    """Pay by way of the client."""
    async with AsyncClient(address) as client:

        async def pair(account: str, request_id: str) -> None:
            held = await client.authorize(
                account, "GET", "/v1/leads", request_id=request_id, timeout=CALL_S
            )
            if not isinstance(held, Held):
                raise SystemExit(f"not authorized: {held}")
            settled = await client.commit(held, http_status=200, timeout=CALL_S)
            if not settled.credits:
                raise SystemExit(f"not charged: {settled}")

        yield pair


@asynccontextmanager
async def unary(address: str) -> AsyncGenerator[Pair]:
    """Pay by a call for each step."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = ledger_pb2_grpc.LedgerServiceStub(channel)

        async def pair(account: str, request_id: str) -> None:
            request = ledger_pb2.AuthorizeRequest(
                account_id=account, method="GET", path="/v1/leads", request_id=request_id
            )
            answer = await stub.Authorize(request, timeout=CALL_S)
            held = answer.reservation.reservation_id
            commit = ledger_pb2.CommitRequest(reservation_id=held, http_status=200)
            settled = await stub.Commit(commit, timeout=CALL_S)
            if not settled.credits:
                raise SystemExit(f"not charged: {settled}")

        yield pair


async def load(pair: Pair, *, seconds: float, run: str) -> float:
    """Return pairs a second."""
    begun = time.perf_counter()

    async def caller(number: int) -> int:
        done = 0
        while time.perf_counter() < begun + seconds:
            await pair(account_id(number + CALLERS * done), f"{run}-{number}-{done}")
            done += 1
        return done

    counts = await asyncio.gather(*[caller(number) for number in range(CALLERS)])
    return sum(counts) / (time.perf_counter() - begun)


async def measure(
    address: str, kind: str, *, seconds: float, warm_up_s: float, run: str
) -> tuple[float, float]:
    """Run the callers of one kind, warm; return their rate, and the idle share of the processors meanwhile."""
    async with (batched if kind == "batched" else unary)(address) as pair:
        await load(pair, seconds=warm_up_s, run=f"{run}-warm")
        before = Ticks.now()
        found = await load(pair, seconds=seconds, run=run)
        return found, before.idle_share_of(Ticks.now())


def main() -> None:
    """Run one load and print its rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("kind", choices=["batched", "unary"])
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--run", required=True)
    given = parser.parse_args()
    work = measure(
        given.address,
        given.kind,
        seconds=given.seconds,
        warm_up_s=given.warm_up,
        run=given.run,
    )
    print(*uvloop.run(work))


if __name__ == "__main__":
    main()
