"""Peers that speak HTTP/2 in plain frames: one that pings as often as it is told to, one that does not read answers."""

import asyncio
import contextlib
from collections.abc import Iterable

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_FRAME_MAX = 16_384
_STREAM = 1


def _frame(kind: int, body: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


class Pinger:
    """One connection on which nothing is called."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._pongs: asyncio.Queue[bytes] = asyncio.Queue()
        self.goodbye = b""
        """What the server said when it closed the connection."""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def connect(cls, port: int) -> "Pinger":
        pinger = cls(*await asyncio.open_connection("127.0.0.1", port))
        pinger._writer.write(_PREFACE + _frame(_SETTINGS))
        return pinger

    async def ping(self) -> bool:
        """Ask once; say whether there was an answer."""
        self._writer.write(_frame(_PING, b"are you?"))
        answered = asyncio.create_task(self._pongs.get())
        async with asyncio.timeout(10):
            await asyncio.wait((answered, self._listening), return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        return answered.done()

    async def close(self) -> None:
        self._writer.close()
        self._listening.cancel()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _listen(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._reader.readexactly(9)
                body = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                kind, is_ack = head[3], head[4] & _ACK
                if kind == _SETTINGS and not is_ack:
                    self._writer.write(_frame(_SETTINGS, flags=_ACK))
                elif kind == _PING and is_ack:
                    self._pongs.put_nowait(body)
                elif kind == _GOAWAY:
                    self.goodbye = body


def _field(name: bytes, value: bytes) -> bytes:
    """A header as HPACK writes one that is in no table."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


class SlowReader:
    """One call on a connection of its own. It sends as much as it may, and never lets the server send more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._initial = 65_535
        self._windows = {0: self._initial, _STREAM: self._initial}
        self._opened = asyncio.Event()
        """Set when there is room again."""
        self.received = 0
        """Bytes of answers."""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def call(cls, address: str, method: str) -> "SlowReader":
        host, _, port = address.rpartition(":")
        peer = cls(*await asyncio.open_connection(host, int(port)))
        headers = b"".join(
            (
                _field(b":method", b"POST"),
                _field(b":scheme", b"http"),
                _field(b":path", method.encode()),
                _field(b":authority", address.encode()),
                _field(b"te", b"trailers"),
                _field(b"content-type", b"application/grpc"),
            )
        )
        peer._writer.write(_PREFACE + _frame(_SETTINGS))
        peer._writer.write(_frame(_HEADERS, headers, flags=_END_HEADERS, stream=_STREAM))
        return peer

    async def send(self, messages: Iterable[bytes], *, patience_s: float) -> int:
        """Send messages until the server has taken nothing for `patience_s`; return how many bytes it took."""
        sent = 0
        with contextlib.suppress(TimeoutError):
            for message in messages:
                left = memoryview(b"\0" + len(message).to_bytes(4, "big") + message)
                while left:
                    room = min(_FRAME_MAX, *self._windows.values())
                    if room <= 0:
                        self._opened.clear()
                        await asyncio.wait_for(self._opened.wait(), patience_s)
                        continue
                    part, left = left[:room], left[room:]
                    self._windows = {
                        each: window - len(part) for each, window in self._windows.items()
                    }
                    self._writer.write(_frame(_DATA, bytes(part), stream=_STREAM))
                    sent += len(part)
                    await asyncio.wait_for(self._writer.drain(), patience_s)
        return sent

    async def end_requests(self) -> None:
        """Say that there is no more to come."""
        self._writer.write(_frame(_DATA, flags=_END_STREAM, stream=_STREAM))
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        self._listening.cancel()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _listen(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._reader.readexactly(9)
                body = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                self._hear(head[3], head[4], int.from_bytes(head[5:], "big"), body)

    def _hear(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == _DATA:
            self.received += len(body)
        elif kind == _PING and not flags & _ACK:
            self._writer.write(_frame(_PING, body, flags=_ACK))
        elif kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(body), 6):
                if int.from_bytes(body[at : at + 2], "big") == _INITIAL_WINDOW_SIZE:
                    size = int.from_bytes(body[at + 2 : at + 6], "big")
                    self._windows[_STREAM] += size - self._initial
                    self._initial = size
            self._writer.write(_frame(_SETTINGS, flags=_ACK))
            self._opened.set()
        elif kind == _WINDOW_UPDATE and stream in self._windows:
            self._windows[stream] += int.from_bytes(body, "big")
            self._opened.set()
