"""Gateways that call without pause until they are refused, and remember what they were told."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from tests.support.ledgers import ACCOUNT, CHARGE, COMMITTED, Ledger
from tollkeeper.core.reservation import parse_name
from tollkeeper.v1 import ledger_pb2
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

CONNECTIONS = 4
GATEWAYS = 16
CALL_S = 30.0
"""No call may take longer: then it hangs."""


@dataclass(slots=True)
class Told:
    """What the gateways were told: each in a list once it was acknowledged."""

    authorized: dict[str, str] = field(default_factory=dict[str, str])
    """Reservation by request."""
    committed: set[str] = field(default_factory=set[str])
    refused: Counter[str] = field(default_factory=Counter[str])

    def assert_kept(self, ledger: Ledger) -> None:
        """Everything acknowledged is in the ledger, as often as it was acknowledged; `verify` finds nothing."""
        states = dict(
            ledger.rows("SELECT reservation_id, state FROM reservation")  # pyright: ignore[reportArgumentType] -- two columns
        )
        lost = [r for r in self.authorized.values() if number_of(r) not in states]
        uncharged = [r for r in self.committed if states.get(number_of(r)) != COMMITTED]
        assert (lost, uncharged) == ([], [])
        charges, _ = ledger.entries()[CHARGE]
        # What was in flight when the server went may have been done, at most one call each.
        assert len(self.committed) <= charges <= len(self.committed) + GATEWAYS
        assert len(states) <= len(self.authorized) + GATEWAYS
        assert ledger.findings() == []


def number_of(reservation_id: str) -> int:
    name = parse_name(reservation_id)
    assert name is not None
    return name.reservation_id


class Load:
    """Gateways over several connections; `stop` ends them, and so does what ends the server."""

    def __init__(self, address: str, run: str = "r") -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        self._channels = [
            grpc.aio.insecure_channel(address, options=options) for _ in range(CONNECTIONS)
        ]
        self._run = run
        self._stopping = False
        self._gateways: list[asyncio.Task[None]] = []
        self.told = Told()

    def start(self) -> None:
        for number in range(GATEWAYS):
            stub = LedgerServiceStub(self._channels[number % CONNECTIONS])
            self._gateways.append(asyncio.create_task(self._gateway(stub, number)))

    async def reach(self, committed: int) -> None:
        """Wait until so many commits were acknowledged."""
        async with asyncio.timeout(60):
            while len(self.told.committed) < committed:
                assert not all(gateway.done() for gateway in self._gateways), self.told.refused
                await asyncio.sleep(0.01)

    async def end(self) -> Told:
        """Wait until every gateway was refused, or had its last answer after `stop`."""
        await asyncio.gather(*self._gateways)
        for channel in self._channels:
            await channel.close()
        return self.told

    def stop(self) -> None:
        self._stopping = True

    async def _gateway(self, stub: LedgerServiceAsyncStub, number: int) -> None:
        turn = 0
        while not self._stopping:
            turn += 1
            request_id = f"{self._run}-{number}-{turn}"
            try:
                await self._pair(stub, request_id)
            except grpc.aio.AioRpcError as error:
                self.told.refused[f"{error.code().name}"] += 1
                return

    async def _pair(self, stub: LedgerServiceAsyncStub, request_id: str) -> None:
        request = ledger_pb2.AuthorizeRequest(
            account_id=ACCOUNT, method="GET", path="/v1/leads", request_id=request_id
        )
        answer = await stub.Authorize(request, timeout=CALL_S)
        reservation_id = answer.reservation.reservation_id
        assert reservation_id, answer
        assert not answer.replayed
        self.told.authorized[request_id] = reservation_id
        commit = ledger_pb2.CommitRequest(reservation_id=reservation_id, http_status=200)
        settled = await stub.Commit(commit, timeout=CALL_S)
        assert (settled.state, settled.credits) == (ledger_pb2.RESERVATION_STATE_COMMITTED, 10)
        self.told.committed.add(reservation_id)


async def under_way(address: str, run: str = "r", *, committed: int) -> Load:
    """Start gateways, and wait until so many commits were acknowledged."""
    load = Load(address, run)
    load.start()
    await load.reach(committed=committed)
    return load
