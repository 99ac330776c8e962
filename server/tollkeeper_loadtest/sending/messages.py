"""What the coordinator and its generators say to each other: pickles over a socket pair, both ends ours."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.cli.client_tls import ClientTls
from tollkeeper.ipc import framed, next_message
from tollkeeper_loadtest.checking.tally import Tally
from tollkeeper_loadtest.settings import LoadSettings

if TYPE_CHECKING:
    import socket

PICKLE_PROTOCOL = 5


class Begin(NamedTuple):
    """To a generator, first: what it is to do, and where."""

    worker: int
    address: str
    settings: LoadSettings
    tls: ClientTls | None
    """None: plain text."""


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


class Done(NamedTuple):
    """From a generator, last."""

    tally: Tally


class Lost(NamedTuple):
    """The coordinator's own note: a generator has ended without a word."""


def send_message(to: socket.socket, message: object) -> None:
    """Send a message."""
    to.sendall(framed(pickle.dumps(message, PICKLE_PROTOCOL)))


def receive_message(ours: socket.socket) -> Any:  # noqa: ANN401 - any of the above
    """Wait for the next message. Raises EOFError where the other end is closed."""
    body = next_message(ours)
    if body is None:
        raise EOFError
    return pickle.loads(body)  # noqa: S301 - our own process wrote it
