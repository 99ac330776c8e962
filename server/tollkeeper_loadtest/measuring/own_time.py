"""Measures what a generator's own work costs: planning requests, checking answers, and counting them.

That is processor time between two awaits, where nothing else of the process runs. Reading the thread's clock costs as
much as some of the work, so only one group in `ONE_IN` is timed, and the clock's own time is taken off again. Every
answer is checked, timed or not.
"""

from __future__ import annotations

import time
from itertools import pairwise

ONE_IN = 17
"""A prime, so that no caller of a closed loop is the one that is always timed."""
_READS = 50


class OwnTime:
    """The own time of one phase."""

    def __init__(self) -> None:
        self._groups = 0
        self._timed = 0
        self._read_s = _cost_of_reading()
        self.timed_s = 0.0
        """Of the timed groups alone."""

    def lap(self) -> Lap:
        """Begin a group: the lap runs, if this is one that is timed."""
        self._groups += 1
        if self._groups % ONE_IN:
            return _UNTIMED
        self._timed += 1
        return TimedLap(self, self._read_s)

    def seconds(self) -> float:
        """Return the time of all groups, by that of the timed ones; 0 where there were too few for one."""
        return self.timed_s * self._groups / self._timed if self._timed else 0.0


class Lap:
    """The work for one group of requests, with pauses while others work. This one is not timed."""

    def pause(self) -> None:
        """Stop: the next thing is an await."""

    def resume(self) -> None:
        """Go on: the await is over."""


class TimedLap(Lap):
    """Runs from its making on."""

    def __init__(self, of: OwnTime, read_s: float) -> None:
        self._of = of
        self._read_s = read_s
        self._begun_s = time.thread_time()

    def pause(self) -> None:
        """See Lap."""
        self._of.timed_s += max(0.0, time.thread_time() - self._begun_s - self._read_s)

    def resume(self) -> None:
        """See Lap."""
        self._begun_s = time.thread_time()


_UNTIMED = Lap()


def _cost_of_reading() -> float:
    """Return what lies between two readings of the clock that follow each other."""
    read = [time.thread_time() for _ in range(_READS)]
    return min(after - before for before, after in pairwise(read))
