"""How a service is, as one: all its serving processes, whichever of them a call would reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollkeeper.engine.counts import NOTHING

if TYPE_CHECKING:
    from tollkeeper.engine.counts import Backlog, Counts


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

    @property
    def counts(self) -> Counts:
        """Return the counts of all processes together."""
        total = NOTHING
        for worker in self.workers:
            total = worker.counts.after(total)
        return total

    @property
    def backlog(self) -> Backlog | None:
        """Return what waited in the ledger when a process looked last; None where no process has."""
        return max(
            (each.counts.backlog for each in self.workers if each.counts.backlog), default=None
        )

    @property
    def mover_lag_s(self) -> float | None:
        """Return by how much moving out is behind; None where no process tells."""
        lags = (each.counts.mover_lag_s for each in self.workers)
        return max((lag for lag in lags if lag is not None), default=None)
