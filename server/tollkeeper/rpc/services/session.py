"""One Session stream: messages are carried out side by side and answered as they are done.

Back-pressure: no more than `WINDOW` operations of a stream are unanswered at a time; what more the caller sends
waits in its own buffers, and so does that of a caller that does not read its answers. A shutdown ends the stream once
everything that was read is answered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tollkeeper.engine.unavailable import shutting_down
from tollkeeper.rpc.services.batching import OPERATIONS_MAX, carry_out, check_size
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tollkeeper.engine.engine import Engine
    from tollkeeper.rpc.calls import CallTracker

WINDOW = OPERATIONS_MAX


class Session:
    """Serves one stream; used once."""

    def __init__(self, engine: Engine, calls: CallTracker, caller: str) -> None:
        self._engine = engine
        self._calls = calls
        self._caller = caller
        self._unanswered = 0
        self._room = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._answers: asyncio.Queue[ledger_pb2.SessionResponse | None] = asyncio.Queue()

    async def answers(
        self, requests: AsyncIterator[ledger_pb2.SessionRequest]
    ) -> AsyncGenerator[ledger_pb2.SessionResponse]:
        """Yield the answer to each message. Raises Refused BATCH_TOO_LARGE or SHUTTING_DOWN after the last of them."""
        reading = asyncio.create_task(self._read(requests))
        with self._calls.when_over(reading.cancel):
            try:
                while (answer := await self._answers.get()) is not None:
                    yield answer
                    self._unanswered -= len(answer.results)
                    self._room.set()
                await reading
            finally:
                for task in (reading, *self._running):
                    task.cancel()

    async def _read(self, requests: AsyncIterator[ledger_pb2.SessionRequest]) -> None:
        """Begin what comes while there is room; when no more will, wait for what is running, and end the answers."""
        try:
            async for request in requests:
                check_size(request.operations)
                await self._room_for(len(request.operations))
                task = asyncio.create_task(self._carry_out(request))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        except asyncio.CancelledError:
            if not self._calls.over:
                raise
            raise shutting_down() from None
        finally:
            await asyncio.gather(*self._running, return_exceptions=True)
            self._answers.put_nowait(None)

    async def _room_for(self, operations: int) -> None:
        while self._unanswered and self._unanswered + operations > WINDOW:
            self._room.clear()
            await self._room.wait()
        self._unanswered += operations

    async def _carry_out(self, request: ledger_pb2.SessionRequest) -> None:
        response = ledger_pb2.SessionResponse(sequence=request.sequence)
        await carry_out(self._engine, request.operations, response.results, self._caller)
        self._answers.put_nowait(response)
