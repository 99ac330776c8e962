"""A peer that speaks HTTP/2 in plain frames and asks whether the connection is alive, as often as it is told to."""

import asyncio
import contextlib

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _PING, _GOAWAY = 4, 6, 7
_ACK = 1


def _frame(kind: int, body: bytes = b"", *, flags: int = 0) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + bytes(4) + body


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
