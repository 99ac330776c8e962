"""What the supervisor and a serving process say to each other, as pickles over a socket pair of their own."""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.config import Settings
    from tollkeeper.core.commands import PublishPrices
    from tollkeeper.engine.counts import Counts

END_MARGIN_S = 65.0
"""How much longer than `drain_s` a process may take to end: a worker of a lane is waited for a minute."""

_LENGTH = struct.Struct("!Q")
_PROTOCOL = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """To a process, first: what it is to serve, and in which of the `of` places."""

    number: int
    of: int
    settings: Settings
    """Those of the service, with the port that was found."""
    publication: PublishPrices | None
    """What is published before the first call where the ledger has none; for one process only."""


@dataclass(frozen=True, slots=True)
class StopAll:
    """To a process: stop, as all others do now."""


@dataclass(frozen=True, slots=True)
class Count:
    """To a process: say `Counted`, with the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class Serving:
    """From a process: it takes calls."""


@dataclass(frozen=True, slots=True)
class NotServing:
    """From a process that ends: why it did not come to serve."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Leaving:
    """From a process: it was told to stop, by a signal to itself alone."""


@dataclass(frozen=True, slots=True)
class Counted:
    """From a process: its counts; those of the end have no number."""

    number: int | None
    counts: Counts


class Link(asyncio.Protocol):
    """One end of the socket pair. `lost` is set when the other end is closed, or this one."""

    def __init__(self, on_message: Callable[[object], None]) -> None:
        self.on_message = on_message
        self.lost = asyncio.Event()
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
            message = pickle.loads(memoryview(received)[_LENGTH.size : end])  # noqa: S301 - our own process wrote it
            del received[:end]
            self.on_message(message)

    def send(self, message: object) -> None:
        """Say something; nothing where nobody listens any more."""
        if self._transport is not None and not self._transport.is_closing():
            written = pickle.dumps(message, _PROTOCOL)
            self._transport.write(_LENGTH.pack(len(written)) + written)

    async def close(self) -> None:
        """Close this end when everything is said."""
        if self._transport is not None:
            self._transport.close()
            await self.lost.wait()
