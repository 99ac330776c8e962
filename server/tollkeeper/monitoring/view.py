"""How a service is, as one: all its serving processes, whichever of them a call would reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollkeeper.engine.counts import Counts


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One place among those that share the port, and the process in it."""

    number: int
    pid: int | None
    """None while there is none."""
    since_s: float
    """When its process took calls first, or was started, in seconds of Unix time."""
    restarts: int
    """How often its process was replaced."""
    serves: bool
    answers: bool
    """Whether it has told its counts now; where not, they are those of the last time."""
    counts: Counts
    """The counts of all processes that the slot had. Those that a killed process had not reported are missing."""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """The service. It serves as long as any of its processes does, until it is told to stop."""

    stopping: bool
    workers: tuple[WorkerView, ...]

    @property
    def serves(self) -> bool:
        """Say whether calls are taken."""
        return not self.stopping and any(worker.serves for worker in self.workers)
