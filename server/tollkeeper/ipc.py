"""Our end of a socket pair with another of our own processes; messages come with their length before them."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH = struct.Struct("!Q")


def framed(message: bytes) -> bytes:
    """Return a message as it is sent."""
    return _LENGTH.pack(len(message)) + message


def next_message(ours: socket.socket) -> bytearray | None:
    """Wait for the next message on a blocking socket; None where the other end is closed."""
    length = _received(ours, _LENGTH.size)
    return None if length is None else _received(ours, _LENGTH.unpack(length)[0])


def _received(ours: socket.socket, size: int) -> bytearray | None:
    received = bytearray(size)
    left = memoryview(received)
    while left:
        count = ours.recv_into(left, flags=socket.MSG_WAITALL)
        if not count:
            return None
        left = left[count:]
    return received


class FramedLink(asyncio.Protocol):
    """One end. `read` makes a message of its bytes; `lost` is set when the other end is closed, or this one."""

    def __init__(
        self, read: Callable[[memoryview], object], on_message: Callable[[object], None]
    ) -> None:
        self.on_message = on_message
        self.lost = asyncio.Event()
        self._read = read
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        del exc
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        """Hand on each message that is whole."""
        received = self._received
        received += data
        while len(received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received)
            end = _LENGTH.size + length
            if len(received) < end:
                return
            message = self._read(memoryview(received)[_LENGTH.size : end])
            del received[:end]
            self.on_message(message)

    def write(self, message: bytes) -> None:
        """Send a message, unless the other end is closed."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(framed(message))

    def close(self) -> None:
        """Close this end when everything is sent."""
        if self._transport is not None:
            self._transport.close()
