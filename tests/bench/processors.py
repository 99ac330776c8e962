"""How much of the machine's processors was idle, as Linux counts it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_STAT = Path("/proc/stat")
_IDLE = slice(3, 5)
"""Idle, and waiting for a disk."""
_ALL = slice(8)
"""The rest is counted in these already."""


class Ticks(NamedTuple):
    """What the processors have done since the machine began, in its ticks."""

    idle: int
    all: int

    @classmethod
    def now(cls) -> Ticks:
        """Read them."""
        first = _STAT.read_text(encoding="ascii").splitlines()[0]
        ticks = [int(each) for each in first.split()[1:]]
        return cls(sum(ticks[_IDLE]), sum(ticks[_ALL]))

    def idle_share_of(self, later: Ticks) -> float:
        """Return which share of the time between was idle, of all processors together."""
        return (later.idle - self.idle) / max(1, later.all - self.all)
