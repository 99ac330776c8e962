"""What a benchmark says: two measures of one run beside each other, and the bound that their ratio is to keep."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.bench.databases import Bench


class Figure(NamedTuple):
    """One line of the report. Rounds took turns; `measured` and `beside` have one number for each."""

    name: str
    measured: list[float]
    beside: list[float]
    at_least: float | None = None
    """The least that the ratio is to be; None: nothing is asked of it."""
    at_most: float | None = None
    unit: str = "/s"

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios())

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest of the rounds' ratios."""
        return min(self.ratios()), max(self.ratios())

    @property
    def short(self) -> bool:
        """Whether it misses its bound."""
        too_low = self.at_least is not None and self.ratio < self.at_least
        too_high = self.at_most is not None and self.ratio > self.at_most
        return too_low or too_high

    @property
    def bound(self) -> str:
        """The bound in words; empty for none."""
        if self.at_least is not None:
            return f"≥ {self.at_least:.2f}"
        return "" if self.at_most is None else f"≤ {self.at_most:.2f}"

    def ratios(self) -> list[float]:
        """Return the ratio of each round."""
        pairs = zip(self.measured, self.beside, strict=True)
        return [measured / beside for measured, beside in pairs]


class Measure(NamedTuple):
    """What `--only` names: one measurement, which gives a figure or a few of them."""

    name: str
    what: str
    """In a few words, for a list."""
    run: Callable[[Bench], list[Figure]]
    minutes: float
    """What it takes about with its own rounds, of 4 seconds."""
    rounds: int = 5
    large: bool = False
    """Left out unless asked for: it fills a ledger of gigabytes."""
