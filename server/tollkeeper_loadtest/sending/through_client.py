"""Operations by way of the Python client, as a gateway sends them: it makes batches of them, and repeats by itself.

The one place of this package that knows the client, and is loaded only where it is asked for. A client's answers are
turned back into those of the ledger, so that they are checked as any other's.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, assert_never

from google.protobuf.timestamp_pb2 import Timestamp

import tollkeeper_client as through
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.sending.transport import Answer, Failed, Repeats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

CALLER = "tollkeeper-loadtest"


class ClientCalls:
    """Each operation is a call of one of the clients, which take turns; every client is one connection."""

    def __init__(self, address: str, clients: int, timeout_s: float) -> None:
        self.repeats = Repeats()
        self._timeout_s = timeout_s
        self._clients = [
            through.AsyncClient(address, caller=CALLER, on_repeat=self._repeated)
            for _ in range(clients)
        ]
        self._turn = itertools.cycle(self._clients)

    async def carry_out(self, operations: Sequence[pb.Operation]) -> list[Answer]:
        """See Transport."""
        if len(operations) == 1:
            return [await self._call(operations[0])]
        return await asyncio.gather(*map(self._call, operations))

    async def close(self) -> None:
        """Close every client."""
        await asyncio.gather(*(client.close() for client in self._clients))

    def _repeated(self, error: through.LedgerError) -> None:
        self.repeats.add(error.key, _failed(error))

    async def _call(self, operation: pb.Operation) -> Answer:
        client = next(self._turn)
        try:
            if operation.HasField("authorize"):
                return await self._authorize(client, operation.authorize)
            return await self._settle(client, operation)
        except through.LedgerError as error:
            return _failed(error)
        except through.DeadlineExceeded as error:
            return Failed("DEADLINE_EXCEEDED", str(error))

    async def _authorize(self, client: through.AsyncClient, request: pb.AuthorizeRequest) -> Answer:
        decision = await client.authorize(
            request.account_id,
            request.method,
            request.path,
            request_id=request.request_id,
            hold=request.hold.ToTimedelta() if request.HasField("hold") else None,
            timeout=self._timeout_s,
        )
        match decision:
            case through.Held():
                reservation = pb.Reservation(
                    reservation_id=decision.reservation_id,
                    credits=decision.credits,
                    price_version=decision.price_version,
                    state=pb.ReservationState.ValueType(decision.state),
                    create_time=_timestamp(decision.create_time),
                    expire_time=_timestamp(decision.expire_time),
                )
                return pb.AuthorizeResponse(reservation=reservation, replayed=decision.replayed)
            case through.Free():
                free = pb.Reservation(
                    credits=decision.credits, price_version=decision.price_version
                )
                return pb.AuthorizeResponse(reservation=free)
            case through.Denied():
                denial = pb.Denial(
                    reason=pb.DenialReason.ValueType(decision.reason),
                    message=decision.message,
                    credits=decision.credits,
                )
                return pb.AuthorizeResponse(denial=denial)
            case _:
                assert_never(decision)

    async def _settle(self, client: through.AsyncClient, operation: pb.Operation) -> Answer:
        commits = operation.HasField("commit")
        key = operation.commit.reservation_id if commits else operation.release.reservation_id
        try:
            if commits:
                return await self._commit(client, operation.commit)
            return await self._release(client, operation.release)
        finally:
            self.repeats.lost(key)  # a settlement's repeat changes nothing that is counted

    async def _commit(self, client: through.AsyncClient, request: pb.CommitRequest) -> Answer:
        by_status = request.HasField("http_status")
        settled = await client.commit(
            request.reservation_id,
            http_status=request.http_status if by_status else None,
            outcome=None if by_status else through.Outcome(request.outcome),
            timeout=self._timeout_s,
        )
        return pb.CommitResponse(
            state=pb.ReservationState.ValueType(settled.state),
            outcome=pb.Outcome.ValueType(settled.outcome),
            credits=settled.credits,
            late=settled.late,
            replayed=settled.replayed,
        )

    async def _release(self, client: through.AsyncClient, request: pb.ReleaseRequest) -> Answer:
        outcome = through.Outcome(request.outcome or pb.OUTCOME_CANCELLED)
        released = await client.release(
            request.reservation_id, outcome=outcome, timeout=self._timeout_s
        )
        return pb.ReleaseResponse(
            state=pb.ReservationState.ValueType(released.state), replayed=released.replayed
        )


def _failed(error: through.LedgerError) -> Failed:
    return Failed(error.reason or error.code.name, str(error.args[0]))


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
