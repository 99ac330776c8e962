"""The processor time of a pair in the Python client itself: its connection is replaced by one that answers at once.

    python -m tests.bench.client_alone

256 callers of one process on uvloop, as in `client`. The time in which the answers are made up is taken off.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import grpc
import uvloop

from tests.bench.callers.python_client import CALLERS
from tests.bench.ledger import account_id
from tollkeeper_client import AsyncClient, Held
from tollkeeper_client.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS = 100
ROUNDS = 5


def answer_to(operation: pb.Operation) -> bytes:
    """Return a usual answer, as a whole BatchResponse: bytes in a row are the answers of a batch."""
    balance = pb.Balance(available=10**9, settled=10**9, held=10)
    result = pb.OperationResult()
    if operation.HasField("authorize"):
        held = result.authorize.reservation
        held.reservation_id, held.credits, held.price_version = "0a1b2c3d4e5f-6a7b8c9d", 10, 3
        held.state = pb.RESERVATION_STATE_HELD
        held.create_time.GetCurrentTime()
        held.expire_time.GetCurrentTime()
        result.authorize.balance.CopyFrom(balance)
    else:
        result.commit.state, result.commit.credits = pb.RESERVATION_STATE_COMMITTED, 10
        result.commit.outcome = pb.OUTCOME_VALID_RESPONSE
        result.commit.balance.CopyFrom(balance)
    return pb.BatchResponse(results=[result]).SerializeToString()


class Ended:
    """A call that has ended well."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def code(self) -> grpc.StatusCode:
        """Return OK."""
        return grpc.StatusCode.OK

    def result(self) -> pb.BatchResponse:
        """Read the answer, as grpc does."""
        return pb.BatchResponse.FromString(self._raw)

    def add_done_callback(self, done: Callable[[Ended], None]) -> None:
        """Call back in the next turn of the event loop."""
        asyncio.get_running_loop().call_soon(done, self)


class Connection:
    """Stands in for the client's connection. `spent_s`: how long it took to make the answers up."""

    spent_s = 0.0
    _authorized = answer_to(pb.Operation(authorize=pb.AuthorizeRequest()))
    _committed = answer_to(pb.Operation(commit=pb.CommitRequest()))

    def __init__(self, *_: object) -> None:
        self.overview = None

    def batch(self, raw: bytes, *, timeout: float) -> Ended:
        """Answer a batch."""
        del timeout
        begun = time.perf_counter()
        answers = [
            self._authorized if each.HasField("authorize") else self._committed
            for each in pb.BatchRequest.FromString(raw).operations
        ]
        ended = Ended(b"".join(answers))
        Connection.spent_s += time.perf_counter() - begun
        return ended

    def close(self) -> None:
        """Do nothing."""


async def measure(pairs: int) -> float:
    """Return µs of processor time a pair."""

    async def caller(client: AsyncClient, number: int) -> None:
        for turn in range(pairs):
            held: Any = await client.authorize(
                account_id(number), "GET", "/v1/leads", request_id=f"{number}-{turn}", timeout=30
            )
            if not isinstance(held, Held):
                raise SystemExit(f"not authorized: {held}")
            await client.commit(held, http_status=200, timeout=30)

    with patch("tollkeeper_client.calls.Connection", Connection):
        async with AsyncClient("nowhere") as client:
            begun_s, spent_s = time.process_time(), Connection.spent_s
            await asyncio.gather(*[caller(client, number) for number in range(CALLERS)])
            used_s = time.process_time() - begun_s - (Connection.spent_s - spent_s)
    return used_s / (CALLERS * pairs) * 1e6


def main() -> None:
    """Print the lowest of a few rounds: what comes on top is the machine's."""
    uvloop.run(measure(PAIRS // 10))
    found = [uvloop.run(measure(PAIRS)) for _ in range(ROUNDS)]
    print(f"{min(found):.1f} µs of processor time a pair ({max(found):.1f} at most)")


if __name__ == "__main__":
    main()
