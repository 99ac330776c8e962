"""Histograms as Prometheus reads them: how many values there were up to each bound, and their sum.

One is added to where things happen, read on request, and added up over processes. To add a value is one bisection and
two additions.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Bounds for the duration of a call, and for the wait of an operation."""
TRANSACTION_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 10.0)
"""Bounds for the parts of a transaction."""
OPERATIONS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""Bounds for the operations of one transaction."""


@dataclass(slots=True)
class Histogram:
    """Counts values by ascending bounds; a value that equals a bound is counted with it."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list[int])
    """How many values each bucket has: one for each bound, and one for what is greater than all of them."""
    total: float = 0.0
    """The sum of all values, in their unit."""

    def __post_init__(self) -> None:
        if not self.counts:
            self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float, times: int = 1) -> None:
        """Count a value. Hot."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def add_all(self, values: Sequence[float]) -> None:
        """Count many values. Hot."""
        bounds, counts = self.bounds, self.counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self.total += sum(values)

    def merge(self, other: Histogram) -> None:
        """Add what another one of the same bounds has counted."""
        self.counts = [
            ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.total += other.total

    @property
    def count(self) -> int:
        """Return how many values were counted."""
        return sum(self.counts)

    @property
    def cumulative(self) -> list[int]:
        """Return for each bound, and for infinity, how many values are not greater."""
        return list(accumulate(self.counts))


def merged(first: Histogram, second: Histogram) -> Histogram:
    """Return a new histogram with the values of two of the same bounds."""
    result = Histogram(first.bounds, first.counts, first.total)
    result.merge(second)
    return result
