"""Stands between us and PostgreSQL, and can fall silent: it takes what both say, and passes nothing on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.faults.proxy import CHUNK, listening, port_of


class SilentProxy:
    """Passes everything on, or nothing. A connection that was there in the silence stays silent for good."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._silent = False
        self._lines: set[asyncio.Task[None]] = set()

    def fall_silent(self) -> None:
        self._silent = True

    def speak(self) -> None:
        self._silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; for as long as it takes where it is silent, as a lost route would."""
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [
            asyncio.create_task(self._pass_on(reader, to_writer)),
            asyncio.create_task(self._pass_on(to_reader, writer)),
        ]
        self._lines.update(ways)
        await asyncio.gather(*ways, return_exceptions=True)
        for each in (writer, to_writer):
            each.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lost = False
        while data := await reader.read(CHUNK):
            lost = lost or self._silent
            if not lost:
                writer.write(data)
                await writer.drain()
        if not lost and not self._silent:
            writer.close()

    async def end(self) -> None:
        for each in self._lines:
            each.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)


@asynccontextmanager
async def silent_proxy(url: str) -> AsyncGenerator[tuple[SilentProxy, str]]:
    """Put a proxy before the server of a URL; return it and the URL that leads through it."""
    proxy = SilentProxy(port_of(url))
    async with listening(url, proxy.serve) as through:
        try:
            yield proxy, through
        finally:
            await proxy.end()
