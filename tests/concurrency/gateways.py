"""Gateways that call at the same moment, each over a connection of its own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

from tests.rpc.wire import read_refusal
from tests.support.ledgers import Ledger
from tollkeeper.v1 import admin_pb2, events_pb2, ledger_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator

    T = TypeVar("T")

CONNECTIONS = 64
CALL_S = 60.0
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # else channels to one address share a connection
    ("grpc.enable_retries", 0),
]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A ledger and the addresses of its servers."""

    ledger: Ledger
    addresses: list[str]
    numbers: Iterator[int]

    @asynccontextmanager
    async def connected(self, account_id: str) -> AsyncGenerator[Gateways]:
        """Connect 64 gateways, spread over the servers."""
        channels = [
            grpc.aio.insecure_channel(self.addresses[n % len(self.addresses)], options=OPTIONS)
            for n in range(CONNECTIONS)
        ]
        try:
            await asyncio.gather(*[channel.channel_ready() for channel in channels])
            yield Gateways(self.ledger, account_id, channels)
        finally:
            await asyncio.gather(*[channel.close() for channel in channels])


class Gateways:
    """64 gateways of one account. Calls are numbered: a number takes the connection of its remainder."""

    def __init__(self, ledger: Ledger, account_id: str, channels: list[grpc.aio.Channel]) -> None:
        self.ledger = ledger
        self.account_id = account_id
        self._ledgers = [LedgerServiceStub(channel) for channel in channels]
        self._admins = [AdminServiceStub(channel) for channel in channels]

    async def authorize(
        self, number: int, request_id: str, path: str = "/v1/leads", *, hold_s: int | None = None
    ) -> ledger_pb2.AuthorizeResponse:
        request = ledger_pb2.AuthorizeRequest(
            account_id=self.account_id, method="GET", path=path, request_id=request_id
        )
        if hold_s is not None:
            request.hold.seconds = hold_s
        return await self._ledgers[number % CONNECTIONS].Authorize(request, timeout=CALL_S)

    async def commit(
        self, number: int, reservation_id: str, http_status: int = 200
    ) -> ledger_pb2.CommitResponse:
        request = ledger_pb2.CommitRequest(reservation_id=reservation_id, http_status=http_status)
        return await self._ledgers[number % CONNECTIONS].Commit(request, timeout=CALL_S)

    async def release(self, number: int, reservation_id: str) -> ledger_pb2.ReleaseResponse:
        request = ledger_pb2.ReleaseRequest(reservation_id=reservation_id)
        return await self._ledgers[number % CONNECTIONS].Release(request, timeout=CALL_S)

    async def extend(
        self, number: int, reservation_id: str, hold_s: int
    ) -> ledger_pb2.ExtendResponse:
        request = ledger_pb2.ExtendRequest(reservation_id=reservation_id)
        request.hold.seconds = hold_s
        return await self._ledgers[number % CONNECTIONS].Extend(request, timeout=CALL_S)

    async def refund(self, number: int, reservation_id: str, request_id: str, credits: int) -> Any:
        request = admin_pb2.RefundRequest(
            reservation_id=reservation_id, credits=credits, request_id=request_id
        )
        return await self._admins[number % CONNECTIONS].Refund(request, timeout=CALL_S)

    async def grant(self, number: int, request_id: str, credits: int) -> Any:
        request = admin_pb2.GrantCreditsRequest(
            account_id=self.account_id, credits=credits, request_id=request_id
        )
        return await self._admins[number % CONNECTIONS].GrantCredits(request, timeout=CALL_S)

    async def create(self, number: int, request_id: str, account_id: str) -> Any:
        request = admin_pb2.CreateAccountRequest(account_id=account_id, request_id=request_id)
        return await self._admins[number % CONNECTIONS].CreateAccount(request, timeout=CALL_S)

    async def limit(self, limit: ledger_pb2.Limit) -> None:
        """Give the account this limit and no other."""
        request = admin_pb2.UpdateAccountRequest(
            account_id=self.account_id,
            limits=admin_pb2.LimitSet(limits=[limit]),
            request_id=f"limit-{self.account_id}",
        )
        await self._admins[0].UpdateAccount(request, timeout=CALL_S)

    async def alert(self, alerts: events_pb2.AlertSet) -> None:
        """Give the account these alert rules and no others."""
        request = admin_pb2.UpdateAccountRequest(
            account_id=self.account_id, alerts=alerts, request_id=f"alerts-{self.account_id}"
        )
        await self.call(0, "UpdateAccount", request)

    async def call(self, number: int, method: str, request: Any) -> Any:
        """Ask what operators ask, over the connection of a number."""
        ask = getattr(self._admins[number % CONNECTIONS], method)
        return await ask(request, timeout=CALL_S)

    async def recur(self, anchor_us: int, *, credits: int) -> ledger_pb2.RecurringGrant:
        """Give the account credits every day from a moment on."""
        request = admin_pb2.CreateRecurringGrantRequest(
            account_id=self.account_id,
            credits=credits,
            period=ledger_pb2.RecurringGrant.PERIOD_DAY,
            request_id=f"daily-{self.account_id}",
        )
        request.anchor.FromMicroseconds(anchor_us)
        answer = await self._admins[0].CreateRecurringGrant(request, timeout=CALL_S)
        return answer.recurring_grant

    async def publish(self, number: int, request: admin_pb2.PublishPricesRequest) -> Any:
        return await self._admins[number % CONNECTIONS].PublishPrices(request, timeout=CALL_S)

    async def available(self) -> int:
        request = admin_pb2.GetAccountRequest(account_id=self.account_id)
        answer = await self._admins[0].GetAccount(request, timeout=CALL_S)
        return answer.account.balance.available

    async def hold(self, count: int, *, hold_s: int | None = None) -> list[str]:
        """Hold the price of several requests, all of which must be granted."""
        answers = await at_once(self.authorize(n, f"hold-{n}", hold_s=hold_s) for n in range(count))
        return [answer.reservation.reservation_id for answer in granted(answers)]


async def at_once(calls: Iterable[Awaitable[T]]) -> list[T]:
    return await asyncio.gather(*calls)


async def reason_of(call: Awaitable[Any]) -> str:
    """Make a call and return why it was refused, or nothing."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return read_refusal(error).reason
    return ""


def granted(answers: Iterable[ledger_pb2.AuthorizeResponse]) -> list[ledger_pb2.AuthorizeResponse]:
    return [answer for answer in answers if answer.WhichOneof("decision") == "reservation"]
