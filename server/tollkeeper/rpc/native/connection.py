"""One connection: what h2 makes of the bytes, handed to calls, and what calls send, handed to h2.

Nobody has to prove who he is before he may send, so all that a connection can make us keep or do is bounded: calls at
a time, bytes of requests held, bytes that carry no request, calls begun and given up, and time without a word.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from tollkeeper.rpc.native import wire
from tollkeeper.rpc.native.bounds import (
    HEADERS_BYTES_MAX,
    HELD_MESSAGES_MAX,
    IDLE_BYTES_BURST,
    IDLE_BYTES_PER_S,
    RESETS_BURST,
    RESETS_PER_S,
    Bucket,
)
from tollkeeper.rpc.native.call import Call, StatusError
from tollkeeper.rpc.native.headers import RememberingDecoder, RememberingEncoder

if TYPE_CHECKING:
    from tollkeeper.rpc.native.server import NativeServer
    from tollkeeper.rpc.native.wire import Headers

log = logging.getLogger(__name__)

STREAM_WINDOW = 1024 * 1024
"""What a caller may send of one call before we have taken it."""

CONNECTION_WINDOW = 16 * STREAM_WINDOW
SILENT_FOR_S = 60.0
"""After so long without a word a peer is asked whether he is there; after as long again he is let go."""

BEGIN_WITHIN_S = 5.0
WRITTEN_AHEAD_BYTES = 64 * 1024
"""What a stream may have ready of answers that its caller has not taken."""

_CALL_ALLOWANCE_BYTES = 256
_MESSAGE_ALLOWANCE_BYTES = 64
_CONFIG = H2Configuration(
    client_side=False,
    header_encoding=None,
    # What we send is made in wire.py. What we are sent goes no further than here, so the finer rules, which protect
    # those behind a proxy, would cost a tenth of a call for nothing.
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Connection(asyncio.Protocol):
    """Speaks with one peer."""

    def __init__(self, server: NativeServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._h2 = H2Connection(_CONFIG)
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, Call] = {}
        self._behind: set[Call] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._paused = False
        self._begun = False
        self._owed = 0
        self._heard_s = self._loop.time()
        self._asked = False
        self._idle_bytes = Bucket(IDLE_BYTES_BURST, IDLE_BYTES_PER_S)
        self._resets = Bucket(RESETS_BURST, RESETS_PER_S)
        self.peer = ""
        self.message_bytes_max = server.message_bytes_max
        self.held_bytes = 0
        self.closed = self._loop.create_future()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are, and give him a while to do the same."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = wire.peer_of(transport.get_extra_info("peername"))
        self._server.opened(self)
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: self._server.streams_max,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADERS_BYTES_MAX,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            },
        )
        self._h2.decoder = RememberingDecoder(headers_bytes_max=HEADERS_BYTES_MAX)
        self._h2.encoder = RememberingEncoder()
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        self._flush()
        self._timer = self._loop.call_later(BEGIN_WITHIN_S, self._begin_overdue)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        """Leave every call: nobody is there to be answered."""
        if self._timer is not None:
            self._timer.cancel()
        for call in tuple(self._calls.values()):
            call.leave()
        self._calls.clear()
        self._behind.clear()
        self._transport = None
        self._server.closed(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """Read no more of one who does not take his answers."""
        self._paused = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        for call in tuple(self._calls.values()):
            call.room()

    def data_received(self, data: bytes) -> None:
        """Act on what a peer sent, and look whether it was worth it."""
        self._heard_s, self._asked = self._loop.time(), False
        try:
            events = self._h2.receive_data(data)
        except ProtocolError as error:
            # h2 has written the GOAWAY that says why.
            log.debug("peer=%s broke the protocol: %s", self.peer, error)
            self._close()
            return
        except Exception:
            # An edge that h2 does not know; it must not reach other connections.
            log.exception("peer=%s sent what cannot be read", self.peer)
            self._close()
            return
        carried = sum(map(self._take, events))
        now_s = self._heard_s
        if not self._idle_bytes.take(len(data) - carried, now_s) or self._resets.empty:
            log.warning("peer=%s sends too much that is no request", self.peer)
            self._close(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        self._flush_soon()

    # --- what arrives ---

    def _take(self, event: Event) -> int:
        """Act on an event; return how many bytes it may have cost its peer."""
        if isinstance(event, RequestReceived):
            return self._begin_call(event)
        if isinstance(event, DataReceived):
            return self._take_data(event)
        if isinstance(event, StreamEnded):
            call = self._calls.get(_number(event.stream_id))
            if call is not None and not call.ended:
                self._guarded(call, call.close_half)
        elif isinstance(event, StreamReset):
            call = self._calls.pop(_number(event.stream_id), None)
            if call is not None:
                self._behind.discard(call)
                if not call.ended and call.is_early(self._heard_s):
                    self._resets.take(1, self._heard_s)
                call.leave()
        elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
            self._begun = True
            self._send_what_waits()
        elif isinstance(event, ConnectionTerminated) and self._transport is not None:
            # He wants no more of what he asked for; to h2 it is over, too.
            self._transport.close()
        return 0

    def _begin_call(self, event: RequestReceived) -> int:
        self._begun = True
        number = _number(event.stream_id)
        headers = cast("Headers", event.headers)
        carried = _CALL_ALLOWANCE_BYTES + sum(len(name) + len(value) for name, value in headers)
        if not wire.is_grpc(headers):
            with self._while_open():
                self._h2.send_headers(number, wire.NOT_GRPC, end_stream=True)
            return carried
        handler = self._server.handler_of(dict(headers).get(b":path", b""))
        call = Call(self, number, headers, handler or _NO_HANDLER)
        self._calls[number] = call
        if self._server.closing:
            call.refuse(StatusError(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"))
        elif handler is None:
            call.refuse(StatusError(grpc.StatusCode.UNIMPLEMENTED, "there is no such method here"))
        else:
            call.begin()
        return carried

    def _take_data(self, event: DataReceived) -> int:
        length = event.flow_controlled_length or 0
        self._owed += length
        if self._owed > CONNECTION_WINDOW // 2:
            self._h2.increment_flow_control_window(self._owed)
            self._owed = 0
        data = event.data or b""
        # As much again, for the frames around it.
        carried = 2 * len(data)
        call = self._calls.get(_number(event.stream_id))
        if call is None or call.ended:
            return carried
        # Padding counts against the window too, and is given back with the rest.
        call.owed += length - len(data)
        self._guarded(call, lambda: call.receive(data))
        if self.held_bytes > HELD_MESSAGES_MAX * self.message_bytes_max:
            call.refuse(
                StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much is sent at a time")
            )
        if not call.ended and call.may_send_on:
            self.let_send(call)
        return carried

    @staticmethod
    def _guarded(call: Call, act: Any) -> None:  # noqa: ANN401 - any of a call's own
        try:
            act()
        except StatusError as error:
            call.refuse(error)

    # --- what calls ask for ---

    def started(self, task: asyncio.Task[None]) -> None:
        """Let the server know of a handler that runs."""
        self._server.started(task)

    def let_send(self, call: Call) -> None:
        """Give leave to send as much again as was taken, where that is worth a frame."""
        if call.owed > STREAM_WINDOW // 2 and not call.half_closed:
            with self._while_open():
                self._h2.increment_flow_control_window(call.owed, call.stream_id)
            call.owed = 0
            self._flush_soon()

    def is_behind(self, call: Call) -> bool:
        """Whether a call's caller does not take what it sends."""
        return self._paused or len(call.unsent) > WRITTEN_AHEAD_BYTES

    def send_message(self, call: Call, message: bytes) -> None:
        """Send a message, at once as far as flow control lets it."""
        if not call.opened:
            call.opened = True
            with self._while_open():
                self._h2.send_headers(call.stream_id, wire.OPENING)
        call.unsent += wire.framed(message)
        # Who takes it says so, in frames.
        self._idle_bytes.give(_MESSAGE_ALLOWANCE_BYTES + len(message) // 64)
        self._send(call)

    def send_status(self, call: Call, trailers: Headers) -> None:
        """Send a call's status after all its messages, and forget it."""
        self._resets.give(1)
        call.trailers = trailers
        self._send(call)

    def reset(self, call: Call) -> None:
        """Cut a call off."""
        self._forget(call)
        with self._while_open():
            self._h2.reset_stream(call.stream_id, ErrorCodes.CANCEL)
        self._flush_soon()

    def shut(self) -> None:
        """Refuse what still runs, say goodbye, and close when that is written; `closed` tells when."""
        for call in tuple(self._calls.values()):
            if call.ended:
                # Its answer waits for room that nobody gives.
                self.reset(call)
            else:
                call.refuse(StatusError(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"))
        self._close(ErrorCodes.NO_ERROR)

    def abort(self) -> None:
        """Close at once, whatever is still to be written."""
        if self._transport is not None:
            self._transport.abort()

    # --- what leaves ---

    @staticmethod
    def _while_open() -> suppress:
        """Leave out what a stream cannot take any more: h2 has read its reset, and we are about to be told."""
        return suppress(ProtocolError)

    def _send(self, call: Call) -> None:
        """Send what flow control lets pass; the status goes when nothing is left before it."""
        with self._while_open():
            self._send_on(call)
        self._flush_soon()

    def _send_on(self, call: Call) -> None:
        number, unsent = call.stream_id, call.unsent
        while unsent:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._behind.add(call)
                break
            self._h2.send_data(number, bytes(unsent[:room]))
            del unsent[:room]
        else:
            self._behind.discard(call)
            if call.trailers is not None:
                opening = [] if call.opened else wire.OPENING
                self._h2.send_headers(number, opening + call.trailers, end_stream=True)
                # A caller who has not sent all of it yet ends the stream himself. To h2 a reset from here would make
                # what is on its way a breach.
                self._forget(call)

    def _send_what_waits(self) -> None:
        for call in tuple(self._behind):
            self._send(call)
            if not self.is_behind(call):
                call.room()

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.stream_id, None)
        self._behind.discard(call)

    def _flush_soon(self) -> None:
        """Write once for all that happens in this turn of the event loop."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        transport = self._transport
        if transport is not None and not transport.is_closing():
            data = self._h2.data_to_send()
            if data:
                transport.write(data)

    # --- its end ---

    def _close(self, code: ErrorCodes | None = None) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if code is not None:
            self._h2.close_connection(code)
        self._flush()
        self._transport.close()
        # A peer that does not read could keep it for ever.
        self._loop.call_later(1.0, self.abort)

    def _begin_overdue(self) -> None:
        if not self._begun:
            self.abort()
            return
        self._look_after()

    def _look_after(self) -> None:
        """Ask a silent peer whether he is there, and let go of one that has not answered."""
        silent_s = self._loop.time() - self._heard_s
        if silent_s >= SILENT_FOR_S and self._asked:
            self.abort()
            return
        if silent_s >= SILENT_FOR_S:
            self._asked = True
            self._h2.ping(b"are you?")
            self._flush_soon()
        self._timer = self._loop.call_later(SILENT_FOR_S / 2, self._look_after)


def _number(stream_id: int | None) -> int:
    return stream_id or 0


_NO_HANDLER: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
    cast("Any", None)
)
"""Of a call that is refused before it has one."""
