"""Operations over gRPC: each as a call, a group as one Batch, or a group as a message of a Session.

Nothing is repeated.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub
from tollkeeper_loadtest.operations import Authorize, Commit
from tollkeeper_loadtest.sending import wire
from tollkeeper_loadtest.sending.transport import Answer, Failed, Repeats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.cli.client_tls import ClientTls
    from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceAsyncStub
    from tollkeeper_loadtest.operations import Operation
    from tollkeeper_loadtest.settings import LoadSettings

OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    # Otherwise all channels of a process share one connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    # A repeat is ours to make, and to count.
    ("grpc.enable_retries", 0),
    # A server that was gone is looked for again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class Connections:
    """The connections of one process; they take turns."""

    def __init__(self, address: str, settings: LoadSettings, tls: ClientTls | None = None) -> None:
        self.address = address
        self.credentials = None if tls is None else tls.credentials()
        """None: plain text."""
        self._channels = [self._channel() for _ in range(settings.connections)]
        self.stubs: list[LedgerServiceAsyncStub] = [
            LedgerServiceStub(channel) for channel in self._channels
        ]

    def _channel(self) -> grpc.aio.Channel:
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.address, options=OPTIONS)
        return grpc.aio.secure_channel(self.address, self.credentials, options=OPTIONS)

    async def ready(self) -> None:
        """Wait until every connection is up."""
        await asyncio.gather(*(channel.channel_ready() for channel in self._channels))

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(channel.close() for channel in self._channels))


class Unrepeated:
    """What those have in common that repeat nothing and open nothing."""

    def __init__(self) -> None:
        self.repeats = Repeats()

    async def close(self) -> None:
        """See Transport."""


class UnaryCalls(Unrepeated):
    """Each operation is a call."""

    def __init__(self, stubs: Sequence[LedgerServiceAsyncStub], timeout_s: float) -> None:
        super().__init__()
        self._turn = itertools.cycle(stubs)
        self._timeout_s = timeout_s

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        """See Transport."""
        if len(operations) == 1:
            return [await self._call(operations[0])]
        return await asyncio.gather(*map(self._call, operations))

    async def _call(self, asked: Operation) -> Answer:
        stub, timeout_s = next(self._turn), self._timeout_s
        try:
            if isinstance(asked, Authorize):
                request = wire.authorize_request(asked)
                return wire.authorized(await stub.Authorize(request, timeout=timeout_s))
            if isinstance(asked, Commit):
                request = wire.commit_request(asked)
                return wire.committed(await stub.Commit(request, timeout=timeout_s))
            request = wire.release_request(asked)
            return wire.released(await stub.Release(request, timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            return _failed(error)


class BatchCalls(Unrepeated):
    """A group is one Batch."""

    def __init__(self, stubs: Sequence[LedgerServiceAsyncStub], timeout_s: float) -> None:
        super().__init__()
        self._turn = itertools.cycle(stubs)
        self._timeout_s = timeout_s

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        """See Transport."""
        request = pb.BatchRequest(operations=map(wire.part_of_batch, operations))
        try:
            answer = await next(self._turn).Batch(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            return [_failed(error)] * len(operations)
        return [_answer(result) for result in answer.results]


class SessionStreams(Unrepeated):
    """A group is a message of a stream; each connection has one stream, opened anew when it was lost."""

    def __init__(self, stubs: Sequence[LedgerServiceAsyncStub], timeout_s: float) -> None:
        super().__init__()
        self._turn = itertools.cycle([_Stream(stub, timeout_s) for stub in stubs])

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        """See Transport."""
        return await next(self._turn).carry_out(operations)


class _Stream:
    def __init__(self, stub: LedgerServiceAsyncStub, timeout_s: float) -> None:
        self._stub = stub
        self._timeout_s = timeout_s
        self._sequence = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[list[Answer] | Failed]] = {}
        self._call: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        sequence = next(self._sequence)
        answered: asyncio.Future[list[Answer] | Failed]
        answered = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = answered
        parts = map(wire.part_of_batch, operations)
        message = pb.SessionRequest(sequence=sequence, operations=parts)
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._writing:
                    await self._write(message)
                answers = await answered
        except TimeoutError:
            answers = Failed("DEADLINE_EXCEEDED", "a message of a session was not answered in time")
        finally:
            self._waiting.pop(sequence, None)
        return [answers] * len(operations) if isinstance(answers, Failed) else answers

    async def _write(self, message: pb.SessionRequest) -> None:
        """Write to the stream, or to a new one; a write that fails is answered by the reader of that stream."""
        if self._call is None:
            self._call = cast("Any", self._stub).Session()
            self._reading = asyncio.create_task(self._read(self._call))
        call = self._call
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(message)
            return
        self._lost(call, Failed("UNAVAILABLE", "the session was lost"))

    async def _read(self, call: Any) -> None:  # noqa: ANN401 - a call of either kind
        failed = Failed("UNAVAILABLE", "the session ended")
        try:
            async for response in call:
                waiting = self._waiting.get(response.sequence)
                if waiting is not None and not waiting.done():
                    waiting.set_result([_answer(result) for result in response.results])
        except grpc.aio.AioRpcError as error:
            failed = _failed(error)
        self._lost(call, failed)

    def _lost(self, call: Any, failed: Failed) -> None:  # noqa: ANN401 - likewise
        if self._call is not call:
            return
        self._call = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(failed)


def _answer(result: pb.OperationResult) -> Answer:
    match result.WhichOneof("result"):
        case "authorize":
            return wire.authorized(result.authorize)
        case "commit":
            return wire.committed(result.commit)
        case "release":
            return wire.released(result.release)
        case _:
            return Failed(_reason_of(result.error) or "INTERNAL", result.error.message)


def _failed(error: grpc.aio.AioRpcError) -> Failed:
    status: Status | None = None
    with suppress(ValueError):
        status = cast("Any", rpc_status).from_call(error)
    reason = _reason_of(status) if status is not None else ""
    return Failed(reason or error.code().name, error.details() or "")


def _reason_of(status: Status) -> str:
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return info.reason
    return ""
