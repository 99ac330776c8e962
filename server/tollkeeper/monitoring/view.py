"""How a service is, as one: all its serving processes, whichever of them a call would reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollkeeper.engine.counts import NOTHING

if TYPE_CHECKING:
    from tollkeeper.engine.counts import Backlog, Counts


SILENT_S_MAX = 5.0
"""How long no answer of the database may have come where a process is ready. Lanes ask it every half second."""


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

    @property
    def database_silent_s(self) -> float:
        """Return for how many seconds the lane that waits longest has had no answer of the database."""
        return max((lane.silent_s for lane in self.counts.lanes), default=0.0)

    @property
    def is_ready(self) -> bool:
        """Say whether a call to this process can be carried out, as far as it can know without asking."""
        return self.serves and self.answers and self.database_silent_s <= SILENT_S_MAX


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

    @property
    def is_ready(self) -> bool:
        """Say whether calls are taken, and the database has answered lately."""
        return not self.stopping and any(worker.is_ready for worker in self.workers)
