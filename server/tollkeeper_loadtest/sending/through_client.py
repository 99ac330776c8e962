"""Operations by way of the Python client, as a gateway sends them: it makes batches of them, and repeats by itself.

The one place of this package that knows the client, and is loaded only where it is asked for.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

import tollkeeper_client as through
from tollkeeper_loadtest.operations import Authorize, Commit, Denied, Held, Release, Settled
from tollkeeper_loadtest.sending.transport import Answer, Failed, Repeats

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from tollkeeper_loadtest.operations import Operation

CALLER = "tollkeeper-loadtest"


class ClientCalls:
    """Each operation is a call of one of the clients, which take turns; every client is one connection."""

    def __init__(
        self,
        address: str,
        clients: int,
        timeout_s: float,
        *,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.repeats = Repeats()
        self._timeout_s = timeout_s
        self._clients = [
            through.AsyncClient(
                address, caller=CALLER, credentials=credentials, on_repeat=self._repeated
            )
            for _ in range(clients)
        ]
        self._turn = itertools.cycle(self._clients)

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        """See Transport."""
        if len(operations) == 1:
            return [await self._call(operations[0])]
        return await asyncio.gather(*map(self._call, operations))

    async def close(self) -> None:
        """Close every client."""
        await asyncio.gather(*(client.close() for client in self._clients))

    def _repeated(self, error: through.LedgerError) -> None:
        self.repeats.add(error.key, _failed(error))

    async def _call(self, asked: Operation) -> Answer:
        client = next(self._turn)
        try:
            if isinstance(asked, Authorize):
                return await self._authorize(client, asked)
            try:
                if isinstance(asked, Commit):
                    return await self._commit(client, asked)
                return await self._release(client, asked)
            finally:
                # A settlement's repeat changes nothing that is counted.
                self.repeats.lost(asked.reservation_id)
        except through.LedgerError as error:
            return _failed(error)
        except through.DeadlineExceeded as error:
            return Failed("DEADLINE_EXCEEDED", str(error))

    async def _authorize(self, client: through.AsyncClient, asked: Authorize) -> Answer:
        decision = await client.authorize(
            asked.account_id,
            asked.method,
            asked.path,
            request_id=asked.request_id,
            hold=None if asked.hold_s is None else timedelta(seconds=asked.hold_s),
            timeout=self._timeout_s,
        )
        match decision:
            case through.Held():
                return Held(
                    decision.reservation_id,
                    decision.credits,
                    decision.price_version,
                    (decision.expire_time - decision.create_time).total_seconds(),
                    decision.replayed,
                )
            case through.Free():
                return Held("", decision.credits, decision.price_version, 0.0, replayed=False)
            case through.Denied():
                return Denied(decision.reason, decision.message)
            case _:
                assert_never(decision)

    async def _commit(self, client: through.AsyncClient, asked: Commit) -> Answer:
        settled = await client.commit(
            asked.reservation_id,
            http_status=asked.http_status or None,
            outcome=None if asked.outcome is None else through.Outcome(asked.outcome),
            timeout=self._timeout_s,
        )
        return Settled(settled.state, settled.outcome, settled.credits, settled.late)

    async def _release(self, client: through.AsyncClient, asked: Release) -> Answer:
        outcome = through.Outcome(asked.outcome or through.Outcome.CANCELLED)
        released = await client.release(
            asked.reservation_id, outcome=outcome, timeout=self._timeout_s
        )
        return Settled(released.state, 0, 0, late=False)


def _failed(error: through.LedgerError) -> Failed:
    return Failed(error.reason or error.code.name, str(error.args[0]))
