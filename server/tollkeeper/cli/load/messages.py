"""What the crew and its generators say to each other: pickles over a socket pair, both ends of which are ours."""

from __future__ import annotations

import pickle
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.cli.load.settings import LoadSettings
from tollkeeper.cli.load.tally import Tally

if TYPE_CHECKING:
    import socket
    from typing import BinaryIO

LENGTH = struct.Struct("!Q")
PICKLE_PROTOCOL = 5


class Begin(NamedTuple):
    """To a generator, first: what it is to do, and where."""

    worker: int
    address: str
    settings: LoadSettings


class Phase(NamedTuple):
    """To a generator: send load from `start_s` (of the machine's monotonic clock) on, for so long."""

    start_s: float
    seconds: float
    rate: float | None
    """Requests a second of this generator, None for a closed loop."""
    offset: float
    """In an open loop, which part of the time between two requests it waits before its first."""
    callers: int
    requests_max: int | None
    """The most requests of this generator, None for no bound."""


class Stop(NamedTuple):
    """To a generator: end the phase now."""


class Finish(NamedTuple):
    """To a generator, last: find out what is not known yet, within so many seconds, and say what there was."""

    within_s: float


class Ready(NamedTuple):
    """From a generator: its connections are up."""


class Broken(NamedTuple):
    """From a generator: it cannot go on, why, and with which exit code and reason the command ends by it."""

    message: str
    code: int
    reason: str


@dataclass(slots=True)
class Second:
    """From a generator: what was answered in one second of a phase."""

    second: int
    requests: int = 0
    """That have come to their end: settled, left to expire, or denied."""
    pairs: int = 0
    """Authorized and settled."""
    operations: int = 0
    errors: int = 0
    denied: int = 0
    hdr: bytes = b""
    """Latencies of the operations."""


@dataclass(slots=True)
class Figures:
    """From a generator, at the end of a phase: what was measured."""

    seconds: float
    """From the first request to the last answer."""
    sent: int = 0
    """Requests begun."""
    unsent: int = 0
    """Requests of an open loop that were due and never begun."""
    busy: float = 0.0
    """The share of one processor that the generator used."""
    requests: int = 0
    pairs: int = 0
    operations: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    denials: Counter[str] = field(default_factory=Counter[str])
    repeats: Counter[str] = field(default_factory=Counter[str])
    """What the transport repeated by itself, by reason."""
    hdr: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Latencies by what they are of."""


class Done(NamedTuple):
    """From a generator, last."""

    tally: Tally


class Lost(NamedTuple):
    """The crew's own note: a generator has ended without a word."""


def say(to: socket.socket, message: object) -> None:
    """Send a message."""
    written = pickle.dumps(message, PICKLE_PROTOCOL)
    to.sendall(LENGTH.pack(len(written)) + written)


def hear(source: BinaryIO) -> Any:  # noqa: ANN401 - any of the above
    """Read a message. Raises EOFError where the other end is closed."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    body = source.read(length)
    if len(body) < length:
        raise EOFError
    return pickle.loads(body)  # noqa: S301 - our own process wrote it
