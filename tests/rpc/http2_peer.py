"""A peer on HTTP/2 that does what no well-behaved client does."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamReset
from h2.events import TrailersReceived as Trailers
from h2.settings import SettingCodes, Settings

PATH = "/tollkeeper.v1.LedgerService/Commit"


@dataclass
class Answered:
    """What came back on a stream."""

    headers: dict[str, str] = field(default_factory=dict[str, str])
    data: bytes = b""
    reset: bool = False

    @property
    def status(self) -> int:
        return int(self.headers["grpc-status"])


class Peer:
    """One connection; `h2` makes frames, `send` sends them, `listen` reads what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.h2 = H2Connection(H2Configuration(validate_outbound_headers=False))
        self.answers: dict[int, Answered] = {}
        self.goodbye: Any = None
        self.closed = False

    @classmethod
    async def connect(cls, port: int, *, window: int = 2**20) -> "Peer":
        peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        peer.h2.local_settings = Settings(
            client=True,
            initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.ENABLE_PUSH: 0},
        )
        peer.h2.initiate_connection()
        await peer.send()
        await peer.listen(lambda: peer.h2.remote_settings.initial_window_size > 65_535)
        return peer

    def call(self, path: str = PATH, **headers: str) -> int:
        """Begin a call; return its stream."""
        number = self.h2.get_next_available_stream_id()
        fixed = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "test",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.h2.send_headers(number, list((fixed | given).items()))
        self.answers[number] = Answered()
        return number

    def message(self, number: int, message: bytes) -> None:
        """Send a whole request, and no more after it."""
        self.h2.send_data(
            number, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True
        )

    async def send(self, raw: bytes = b"") -> None:
        """Send what was made, and bytes that no library makes; to one who has hung up, nothing."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(self.h2.data_to_send() + raw)
            await self.writer.drain()

    async def listen(self, until: Any) -> None:
        """Read until a condition holds or the other side has closed."""
        async with asyncio.timeout(10):
            while not until() and not self.closed:
                try:
                    data = await self._reader.read(65_536)
                except ConnectionError:
                    data = b""
                self.closed = not data
                for event in self.h2.receive_data(data):
                    self._take(event)
                if not self.closed:
                    await self.send()

    async def hear(self) -> bytes:
        """Read some bytes, as they are."""
        return await self._reader.read(1_024)

    async def answer(self, number: int) -> Answered:
        """Wait for the status of a call."""
        answered = self.answers[number]
        await self.listen(lambda: "grpc-status" in answered.headers or answered.reset)
        return answered

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived() | Trailers():
                found: dict[Any, Any] = dict(event.headers)
                self.answers[event.stream_id or 0].headers |= {
                    name.decode(): value.decode() for name, value in found.items()
                }
            case DataReceived():
                self.answers[event.stream_id or 0].data += event.data or b""
            case StreamReset():
                self.answers[event.stream_id or 0].reset = True
            case ConnectionTerminated():
                self.goodbye = event.error_code
            case _:
                pass
