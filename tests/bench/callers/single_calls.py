"""The load: calls in flight over 4 connections, from a process of its own; prints how many ended in a second.

`calls` counts Authorize calls of a raw echo; `pairs` counts Authorize followed by Commit, with every answer checked.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING, TypeAlias

import grpc
import uvloop

from tests.bench.ledger import account_id
from tollkeeper.v1 import ledger_pb2, ledger_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Stub: TypeAlias = "ledger_pb2_grpc.LedgerServiceAsyncStub"
    Call: TypeAlias = Callable[[Stub, int, str], Coroutine[object, object, None]]

IN_FLIGHT = 64
CONNECTIONS = 4


async def _call(stub: Stub, number: int, request_id: str) -> None:
    await stub.Authorize(_authorize(number, request_id))


async def _pair(stub: Stub, number: int, request_id: str) -> None:
    answer = await stub.Authorize(_authorize(number, request_id))
    reservation_id = answer.reservation.reservation_id
    if not reservation_id:
        raise SystemExit(f"not authorized: {answer.denial.message}")
    settled = await stub.Commit(
        ledger_pb2.CommitRequest(reservation_id=reservation_id, http_status=200)
    )
    if settled.state != ledger_pb2.RESERVATION_STATE_COMMITTED:
        raise SystemExit(f"not committed: {settled}")


def _authorize(number: int, request_id: str) -> ledger_pb2.AuthorizeRequest:
    return ledger_pb2.AuthorizeRequest(
        account_id=account_id(number), method="GET", path="/v1/leads", request_id=request_id
    )


async def _caller(stub: Stub, call: Call, number: int, stop_at: float, run: str) -> int:
    done = 0
    while time.perf_counter() < stop_at:
        await call(stub, number + IN_FLIGHT * done, f"{run}-{number}-{done}")
        done += 1
    return done


async def load(
    address: str,
    call: Call,
    *,
    seconds: float,
    warm_up_s: float,
    run: str,
    in_flight: int = IN_FLIGHT,
) -> float:
    """Return calls (or pairs) a second."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(CONNECTIONS)]
    stubs: list[Stub] = [ledger_pb2_grpc.LedgerServiceStub(channel) for channel in channels]

    async def run_for(span: float, name: str) -> float:
        begun = time.perf_counter()
        counts = await asyncio.gather(
            *[
                _caller(stubs[number % CONNECTIONS], call, number, begun + span, name)
                for number in range(in_flight)
            ]
        )
        return sum(counts) / (time.perf_counter() - begun)

    try:
        await run_for(warm_up_s, f"{run}-warm")
        return await run_for(seconds, run)
    finally:
        for channel in channels:
            await channel.close()


def main() -> None:
    """Run one load and print its rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("kind", choices=["calls", "pairs"])
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--run", required=True)
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    arguments = parser.parse_args()
    call = _call if arguments.kind == "calls" else _pair
    work = load(
        arguments.address,
        call,
        seconds=arguments.seconds,
        warm_up_s=arguments.warm_up,
        run=arguments.run,
        in_flight=arguments.in_flight,
    )
    print(uvloop.run(work))


if __name__ == "__main__":
    main()
