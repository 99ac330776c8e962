"""Callers that send Batches of one size, Authorize and then Commit; prints how many pairs ended in a second.

As lean as a client can be: requests are put together of bytes that are the same every time, and only what must be
known of an answer is read. Every answer is checked. Two batches are under way at once, so that the server has the next
one while the client reads.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc
import uvloop

from tests.bench.ledger import ACCOUNTS, account_id
from tollkeeper.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SIZE = 1_000
CALLERS = 2
BATCH = "/tollkeeper.v1.LedgerService/Batch"
OPTIONS = [("grpc.max_receive_message_length", -1)]
CALL_S = 60.0


@dataclass(slots=True)
class Goal:
    """When to stop: at a time, or after so many pairs."""

    stop_at_s: float
    pairs_max: int

    def reached(self, pairs: int) -> bool:
        """Say whether to stop."""
        return pairs >= self.pairs_max or time.perf_counter() >= self.stop_at_s


class Caller:
    """Sends one batch after another."""

    def __init__(self, channel: grpc.aio.Channel, name: str, size: int, accounts: int) -> None:
        self._call: Any = cast("Any", channel).unary_unary(BATCH, None, None)
        self._name = name
        self._size = size
        self._accounts = accounts
        self._prefixes = [
            _before_request_id(account_id(number, accounts))
            for number in range(min(size, accounts))
        ]
        self._turn = 0
        self._around_ids: dict[int, tuple[bytes, bytes]] = {}

    async def pairs(self) -> int:
        """Authorize a batch and commit it."""
        self._turn += 1
        run = f"{self._name}{self._turn:07d}"
        prefixes = self._prefixes
        known = len(prefixes)
        raw = b"".join(
            [b"%b%b%05d" % (prefixes[n % known], run.encode(), n) for n in range(self._size)]
        )
        held = [each.authorize.reservation.reservation_id for each in await self._results(raw)]
        if not all(held):
            raise SystemExit("not all were authorized")
        raw = b"".join([self._commit_of(each) for each in held])
        committed = pb.RESERVATION_STATE_COMMITTED
        for each in await self._results(raw):
            if each.commit.state != committed:
                raise SystemExit(f"not committed: {each}")
        return self._size

    async def _results(self, raw: bytes) -> Iterable[pb.OperationResult]:
        answer = await self._call(raw, timeout=CALL_S)
        return pb.BatchResponse.FromString(answer).results

    def _commit_of(self, reservation_id: str) -> bytes:
        length = len(reservation_id)
        around = self._around_ids.get(length)
        if around is None:
            commit = pb.CommitRequest(reservation_id="~" * length, http_status=200)
            before, _, after = _message(pb.Operation(commit=commit)).partition(b"~" * length)
            around = self._around_ids[length] = before, after
        return around[0] + reservation_id.encode() + around[1]


def _before_request_id(account: str) -> bytes:
    """Return an Authorize up to its request_id, which is its last field and always as long."""
    request_id = "x" * (NAME + 12)
    authorize = pb.AuthorizeRequest(
        account_id=account, method="GET", path="/v1/leads", request_id=request_id
    )
    return _message(pb.Operation(authorize=authorize))[: -len(request_id)]


NAME = 12
"""Characters of a caller's name; with 7 of its turn and 5 of its place they are a request_id."""


def _message(operation: pb.Operation) -> bytes:
    return pb.BatchRequest(operations=[operation]).SerializeToString()


async def load(address: str, callers: Sequence[str], given: argparse.Namespace) -> float:
    """Return pairs a second, warm."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        everyone = [Caller(channel, name, given.size, given.accounts) for name in callers]

        async def work(seconds: float, pairs_max: int) -> float:
            begun = time.perf_counter()
            goal = Goal(begun + seconds, pairs_max)
            done = 0

            async def call(caller: Caller) -> None:
                nonlocal done
                while not done or not goal.reached(done):
                    pairs = await caller.pairs()
                    done += pairs  # in one step: `done += await` adds to what it was before the others added theirs

            await asyncio.gather(*map(call, everyone))
            return done / (time.perf_counter() - begun)

        if given.pairs:
            return await work(float("inf"), given.pairs)
        await work(given.warm_up, 10**12)
        return await work(given.seconds, 10**12)


def main() -> None:
    """Run one load and print its rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--run", required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--pairs", type=int, default=0, help="instead of seconds")
    parser.add_argument("--size", type=int, default=SIZE, help="operations of a batch")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--callers", type=int, default=CALLERS)
    given = parser.parse_args()
    names = [f"{given.run[-10:]:->10}{number:02d}" for number in range(given.callers)]
    print(uvloop.run(load(given.address, names, given)))


if __name__ == "__main__":
    main()
