"""Stands between a lane and PostgreSQL, and can take the line away at the worst moment."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHUNK = 65_536
CLOSE_S = 20
COMMIT = b"COMMIT"


class Proxy:
    """Passes everything on. Once `armed`, it cuts the line after a COMMIT has been carried out, unanswered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.armed = False
        self.cuts = 0
        self._lines: list[asyncio.Task[object]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._lines.append(task)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._port)
        cutting = asyncio.Event()
        ways = [
            asyncio.create_task(self._forwards(reader, to_writer, cutting)),
            asyncio.create_task(self._back(to_reader, writer, cutting)),
        ]
        # An end of either way is the end of both.
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for each in ways:
            each.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for each in (writer, to_writer):
            each.close()
            with contextlib.suppress(OSError):
                await each.wait_closed()

    async def is_over(self) -> None:
        """Wait until every line has been closed by one of its ends."""
        async with asyncio.timeout(CLOSE_S):
            await asyncio.gather(*self._lines)

    async def _forwards(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cutting: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if self.armed and COMMIT in data:
                self.armed = False
                cutting.set()
            writer.write(data)
            await writer.drain()

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cutting: asyncio.Event
    ) -> None:
        answered = b""
        while data := await reader.read(CHUNK):
            if not cutting.is_set():
                writer.write(data)
                await writer.drain()
                continue
            answered += data
            if COMMIT in answered:  # the tag of the command that has been carried out
                self.cuts += 1
                writer.transport.abort()
                return


@asynccontextmanager
async def proxied(url: str) -> AsyncGenerator[tuple[Proxy, str]]:
    """Put a proxy before the server of a URL; return it and the URL that leads through it."""
    proxy = Proxy(port_of(url))
    try:
        async with listening(url, proxy.serve) as through:
            yield proxy, through
    finally:
        await proxy.is_over()


def port_of(url: str) -> int:
    """Return the port of a database's URL."""
    return int(url.rsplit(":", maxsplit=1)[1].split("/", maxsplit=1)[0])


@asynccontextmanager
async def listening(url: str, serve: Serve) -> AsyncGenerator[str]:
    """Serve connections on a port of our own; return the URL with that port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield url.replace(f":{port_of(url)}/", f":{server.sockets[0].getsockname()[1]}/")
    finally:
        server.close()
