"""What the supervisor and a serving process say to each other, as pickles over a socket pair of their own."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollkeeper.ipc import FramedLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.config import Settings
    from tollkeeper.core.commands import PublishPrices
    from tollkeeper.engine.counts import Counts

_END_MARGIN_S = 15.0
"""For what is broken off at the end of `drain_s`, and for the processes to end."""

_PROTOCOL = 5


def end_within_s(settings: Settings) -> float:
    """Return how long a process may take from being told to stop to its end."""
    return settings.drain_delay_s + settings.drain_s + _END_MARGIN_S


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """To a process, first: what it is to serve, and which of the `of` workers it is."""

    number: int
    of: int
    settings: Settings
    """Those of the service, with the port that was found."""
    publication: PublishPrices | None
    """What is published before the first call where the ledger has none; for one process only."""
    leave_lock: int
    """The descriptor of the lock that all workers share."""


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


class Link(FramedLink):
    """One end of the socket pair."""

    def __init__(self, on_message: Callable[[object], None]) -> None:
        super().__init__(pickle.loads, on_message)

    def send(self, message: object) -> None:
        """Send a message, unless the other end is closed."""
        self.write(pickle.dumps(message, _PROTOCOL))
