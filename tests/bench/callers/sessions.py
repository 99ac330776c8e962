"""Callers that send groups of operations over sessions, Authorize and then Commit; prints how many pairs a second end.

64 groups of 100 are under way over 4 streams, each on a connection of its own. Every answer is checked.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, cast

import grpc
import uvloop

from tests.bench.ledger import account_id
from tollkeeper.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLERS = 64
GROUP = 100
STREAMS = 4
SESSION = "/tollkeeper.v1.LedgerService/Session"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


class Stream:
    """One session, shared by callers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        method = cast("Any", channel).stream_stream(SESSION, None, pb.SessionResponse.FromString)
        self._call = method()
        self._sequence = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Sequence[pb.OperationResult]]] = {}
        self._writing = asyncio.Lock()
        self._reading = asyncio.create_task(self._read())

    async def results(self, operations: Sequence[pb.Operation]) -> Sequence[pb.OperationResult]:
        """Send a message and return its results."""
        sequence = next(self._sequence)
        waiting = self._waiting[sequence] = asyncio.get_running_loop().create_future()
        message = pb.SessionRequest(sequence=sequence, operations=operations).SerializeToString()
        async with self._writing:
            await self._call.write(message)
        return await waiting

    async def close(self) -> None:
        """End the session."""
        await self._call.done_writing()
        await self._reading

    async def _read(self) -> None:
        async for response in self._call:
            self._waiting.pop(response.sequence).set_result(response.results)


async def pairs(stream: Stream, caller: int, turn: int, run: str) -> int:
    """Authorize a group and commit it."""
    first = caller * GROUP + turn * CALLERS * GROUP
    operations = [
        pb.Operation(
            authorize=pb.AuthorizeRequest(
                account_id=account_id(number),
                method="GET",
                path="/v1/leads",
                request_id=f"{run}-{number}",
            )
        )
        for number in range(first, first + GROUP)
    ]
    held = [each.authorize.reservation.reservation_id for each in await stream.results(operations)]
    if not all(held):
        raise SystemExit("not all were authorized")
    operations = [
        pb.Operation(commit=pb.CommitRequest(reservation_id=each, http_status=200)) for each in held
    ]
    for each in await stream.results(operations):
        if each.commit.state != pb.RESERVATION_STATE_COMMITTED:
            raise SystemExit(f"not committed: {each}")
    return GROUP


async def load(address: str, *, seconds: float, warm_up_s: float, run: str) -> float:
    """Return pairs a second, warm."""
    channels = [grpc.aio.insecure_channel(address, options=OPTIONS) for _ in range(STREAMS)]
    streams = [Stream(channel) for channel in channels]

    async def run_for(span: float, name: str) -> float:
        begun = time.perf_counter()

        async def call(caller: int) -> int:
            done = 0
            while time.perf_counter() < begun + span:
                turn = done // GROUP
                done += await pairs(streams[caller % STREAMS], caller, turn, name)
            return done

        counts = await asyncio.gather(*map(call, range(CALLERS)))
        return sum(counts) / (time.perf_counter() - begun)

    await run_for(warm_up_s, f"{run}-warm")
    rate = await run_for(seconds, run)
    for stream in streams:
        await stream.close()
    for channel in channels:
        await channel.close()
    return rate


def main() -> None:
    """Run one load and print its rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--run", required=True)
    given = parser.parse_args()
    work = load(given.address, seconds=given.seconds, warm_up_s=given.warm_up, run=given.run)
    print(uvloop.run(work))


if __name__ == "__main__":
    main()
