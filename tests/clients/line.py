"""A line to the server that can be cut at the worst moment: when a request is through and its answer is not."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHUNK = 65_536
L = TypeVar("L", bound="Line")


class Line:
    """Passes everything on, to whichever server is named at the time."""

    def __init__(self, address: str) -> None:
        self.to = address
        self.address = ""
        self.cuts = 0
        self._armed = False
        self._least = 0
        self._ways: set[asyncio.Task[None]] = set()

    def cut_answers(self, least: int = 100) -> None:
        """Keep back the next bytes of an answer, and close the connection instead. What is shorter is no answer."""
        self._armed, self._least = True, least

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either end closes it."""
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        host, _, port = self.to.rpartition(":")
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection(host, int(port))
            ways = [
                asyncio.ensure_future(self._pass(reader, to_writer, answers=False)),
                asyncio.ensure_future(self._pass(to_reader, writer, answers=True)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_writer.transport.abort()
        writer.transport.abort()
        self._ways.discard(task)

    async def is_over(self) -> None:
        """Wait until every connection has ended."""
        async with asyncio.timeout(20):
            await asyncio.gather(*self._ways)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if (
                    answers and self._armed and len(data) > self._least
                ):  # not a word of HTTP/2 alone
                    self._armed = False
                    self.cuts += 1
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def line_to(address: str, kind: type[L] = Line) -> AsyncGenerator[L]:
    """Put a line before a server."""
    line = kind(address)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        await line.is_over()
