"""One call: its messages in, its handler, its messages and status out.

Handlers are what grpc.aio takes, and what they are given is what our servicers use of grpc.aio's context. A call ends
once, with the first of: its status, the caller's leave, its deadline.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn, cast

import grpc

from tollkeeper.rpc.native import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tollkeeper.rpc.native.connection import Connection
    from tollkeeper.rpc.native.wire import Headers, Metadata

log = logging.getLogger(__name__)


EARLY_S = 0.1
"""A caller who leaves sooner had hardly wanted an answer."""


class StatusError(Exception):
    """A call ends with a status that is not OK."""

    def __init__(self, code: grpc.StatusCode, message: str, metadata: Metadata = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.metadata = metadata


class Call:
    """A call on a connection, from its headers to its status; the context of its handler."""

    __slots__ = (
        "_arrived",
        "_begun_s",
        "_connection",
        "_deadline",
        "_handler",
        "_headers",
        "_held",
        "_messages",
        "_received",
        "_room",
        "_waits_s",
        "ended",
        "half_closed",
        "opened",
        "owed",
        "stream_id",
        "task",
        "trailers",
        "unsent",
    )

    def __init__(
        self,
        connection: Connection,
        stream_id: int,
        headers: Headers,
        handler: grpc.RpcMethodHandler[Any, Any],
    ) -> None:
        self._connection = connection
        self._headers = headers
        self._handler = handler
        self._received = bytearray()
        self._held = 0
        self._messages: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        self._begun_s = asyncio.get_running_loop().time()
        self._waits_s = wire.timeout_s(headers)
        self.stream_id = stream_id
        self.task: asyncio.Task[None] | None = None
        self.half_closed = False
        """The caller has sent all."""
        self.opened = False
        """The headers of the answer were sent."""
        self.ended = False
        self.owed = 0
        """Bytes taken off the stream that its caller has no leave yet to send again."""
        self.unsent = bytearray()
        """What flow control holds back, and after it the status."""
        self.trailers: Headers | None = None

    # --- what comes from the connection ---

    def begin(self) -> None:
        """Take up the call; one with a stream of requests does not wait for them."""
        if self._waits_s is not None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._waits_s, self._overdue)
        if self._handler.request_streaming:
            self._start()

    def receive(self, data: bytes) -> None:
        """Take bytes of requests. Raises StatusError for what is no request of ours."""
        self._received += data
        self.owed += len(data)
        self._hold(len(data))
        while (message := self._next_message()) is not None:
            if self._messages and not self._handler.request_streaming:
                raise StatusError(grpc.StatusCode.INTERNAL, "more than one request was sent")
            self._messages.append(message)
            self._arrived.set()

    def is_early(self, now_s: float) -> bool:
        """Whether a caller who leaves now has hardly waited, and not as long as he said."""
        waited_s = now_s - self._begun_s
        return waited_s < EARLY_S and (self._waits_s is None or waited_s < self._waits_s / 2)

    @property
    def may_send_on(self) -> bool:
        """Whether more of its requests is wanted: not while complete ones are waiting."""
        return not (self._handler.request_streaming and self._messages)

    def close_half(self) -> None:
        """Take note that all was sent; now a single request is carried out. Raises StatusError if it is not whole."""
        self.half_closed = True
        self._arrived.set()
        if self._received:
            raise StatusError(grpc.StatusCode.INTERNAL, "the last request is cut off")
        if not self._handler.request_streaming:
            if not self._messages:
                raise StatusError(grpc.StatusCode.INTERNAL, "no request was sent")
            self._start()

    def room(self) -> None:
        """Take note that the caller has taken what was written, or most of it."""
        self._room.set()

    def leave(self) -> None:
        """End it without a word: the caller, or his connection, is gone."""
        self._end()
        if self.task is not None:
            self.task.cancel()

    def refuse(self, error: StatusError) -> None:
        """End it with a status from outside of its handler."""
        if self.ended:
            return
        if self.unsent:
            # Half an answer is on its way; a status could not follow it.
            self._end()
            self._connection.reset(self)
        else:
            self._finish(wire.status_trailers(error.code, error.message, error.metadata))
        if self.task is not None:
            self.task.cancel()

    # --- what handlers use: of grpc.aio's ServicerContext, this and no more ---

    def invocation_metadata(self) -> Iterator[tuple[str, str | bytes]]:
        """Return what the caller said beside his request."""
        return wire.metadata_of(self._headers)

    def peer(self) -> str:
        """Return the address of the caller, as grpcio writes it."""
        return self._connection.peer

    async def write(self, message: bytes) -> None:
        """Send an answer of a stream, and wait while the caller does not take what was sent."""
        if self.ended:
            raise asyncio.CancelledError
        self._connection.send_message(self, message)
        while not self.ended and self._connection.is_behind(self):
            self._room.clear()
            await self._room.wait()

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> NoReturn:
        """End the call with a status."""
        raise StatusError(code, details, trailing_metadata)

    # --- the handler ---

    def _start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run())
        self._connection.started(self.task)

    async def _run(self) -> None:
        try:
            await self._handle()
        except StatusError as error:
            trailers = wire.status_trailers(error.code, error.message, error.metadata)
        except asyncio.CancelledError:
            if self.ended:
                return
            trailers = wire.status_trailers(grpc.StatusCode.CANCELLED, "")
        except Exception:
            # Our services answer for themselves; what is left are health and reflection.
            log.exception("a handler failed")
            trailers = wire.status_trailers(grpc.StatusCode.UNKNOWN, "")
        else:
            trailers = wire.ALL_IS_WELL
        if not self.ended:
            self._finish(trailers)

    async def _handle(self) -> None:
        handler = cast("Any", self._handler)
        read, write = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary is not None:
            request = self._take()
            response = await handler.unary_unary(read(request) if read else request, self)
            if not self.ended:
                self._connection.send_message(self, write(response) if write else response)
            return
        if handler.request_streaming:
            answers = handler.stream_stream(self._requests(read), self)
        else:
            request = self._take()
            answers = handler.unary_stream(read(request) if read else request, self)
        if inspect.isawaitable(answers):
            await answers
            return
        try:
            async for answer in answers:
                await self.write(write(answer) if write else answer)
        finally:
            await answers.aclose()

    async def _requests(self, read: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - the type of its method's request
        while True:
            while not self._messages:
                if self.half_closed:
                    return
                self._arrived.clear()
                await self._arrived.wait()
            message = self._take()
            if not self._messages:
                self._connection.let_send(self)
            yield read(message) if read else message

    def _take(self) -> bytes:
        message = self._messages.popleft()
        self._hold(-len(message) - wire.PREFIX_BYTES)
        return message

    def _hold(self, bytes_more: int) -> None:
        self._held += bytes_more
        self._connection.held_bytes += bytes_more

    def _next_message(self) -> bytes | None:
        if len(self._received) < wire.PREFIX_BYTES:
            return None
        compressed, length = wire.prefix_of(self._received)
        if compressed:
            raise StatusError(
                grpc.StatusCode.UNIMPLEMENTED,
                "compressed requests are not taken by this transport; send them as they are",
                [("grpc-accept-encoding", "identity")],
            )
        if length > self._connection.message_bytes_max:
            raise StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"a request of {length} bytes is larger than the {self._connection.message_bytes_max} that are taken",
            )
        end = wire.PREFIX_BYTES + length
        if len(self._received) < end:
            return None
        message = bytes(self._received[wire.PREFIX_BYTES : end])
        del self._received[:end]
        return message

    # --- its end ---

    def _overdue(self) -> None:
        self.refuse(StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed"))

    def _finish(self, trailers: Headers) -> None:
        self._end()
        self._connection.send_status(self, trailers)

    def _end(self) -> None:
        self.ended = True
        self._arrived.set()
        self._room.set()
        self._received.clear()
        self._messages.clear()
        self._hold(-self._held)
        if self._deadline is not None:
            self._deadline.cancel()
