"""What one phase measured, over all generators: figures, latencies, and second by second."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tollkeeper_loadtest.measuring import latency

if TYPE_CHECKING:
    from tollkeeper_loadtest.measuring.figures import Figures, Second

KINDS = ("authorize", "settle", "pair", "lag")


class Measured:
    """Grows while the phase goes on."""

    def __init__(self, generators: int) -> None:
        self._generators = generators
        self._seconds: dict[int, dict[str, int]] = {}
        self._told: Counter[int] = Counter()
        self._second_hdr: dict[int, Any] = {}
        self._hdr: dict[str, Any] = {}
        self.ended = 0
        self.seconds = 0.0
        self.totals: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.denials: Counter[str] = Counter()
        self.repeats: Counter[str] = Counter()
        self.busy: dict[int, float] = {}
        self.processor_s = 0.0
        self.own_s = 0.0

    @property
    def whole_second(self) -> int:
        """The newest second that every generator has told of, or should have by now; -1 before the first."""
        newest = max(self._told, default=-1)
        return max(
            (
                second
                for second, told in self._told.items()
                if told == self._generators or second < newest - 1
            ),
            default=-1,
        )

    @property
    def last(self) -> dict[str, int]:
        """What was answered in that second."""
        return self._seconds.get(self.whole_second, {})

    def second(self, told: Second) -> None:
        """Take in one generator's second."""
        self._told[told.second] += 1
        totals = self._seconds.setdefault(told.second, Counter())
        for name in ("requests", "pairs", "operations", "errors", "denied"):
            totals[name] += getattr(told, name)
        heard = self._second_hdr.get(told.second)
        self._second_hdr[told.second] = _merged(heard, told.hdr)
        # All but the newest few are settled: keep the figures and not the histogram.
        for settled in [each for each in self._second_hdr if each < told.second - 5]:
            self._settle(settled)

    def end(self, worker: int, told: Figures) -> None:
        """Take in one generator's figures at the end of the phase."""
        self.ended += 1
        self.seconds = max(self.seconds, told.seconds)
        for name in ("sent", "unsent", "requests", "pairs", "operations"):
            self.totals[name] += getattr(told, name)
        self.errors += told.errors
        self.denials += told.denials
        self.repeats += told.repeats
        self.busy[worker] = told.busy
        self.processor_s += told.processor_s
        self.own_s += told.own_s
        for kind, encoded in told.hdr.items():
            self._hdr[kind] = _merged(self._hdr.get(kind), encoded)
        if self.ended == self._generators:
            for settled in list(self._second_hdr):
                self._settle(settled)

    def rate(self, name: str) -> float:
        """Return a figure by the second."""
        return self.totals[name] / self.seconds if self.seconds else 0.0

    def us_per_pair(self, seconds: float) -> float | None:
        """Return a time of all generators by the pair, in microseconds; None where there was none."""
        pairs = self.totals["pairs"]
        return 1_000_000 * seconds / pairs if pairs and seconds else None

    def latencies(self) -> dict[str, dict[str, object]]:
        """Return the latencies of what was measured, in microseconds."""
        return {kind: latency.figures(self._hdr[kind]) for kind in KINDS if kind in self._hdr}

    def percentile_us(self, kind: str, percentile: float) -> int:
        """Return a percentile, 0 where nothing was measured."""
        histogram = self._hdr.get(kind)
        return 0 if histogram is None else int(histogram.get_value_at_percentile(percentile))

    def series(self) -> list[dict[str, int]]:
        """Return the phase second by second, those without an answer too."""
        last = max(self._seconds, default=-1)
        empty = dict.fromkeys(_SERIES, 0)
        return [
            {"second": second, **empty, **self._seconds.get(second, {})}
            for second in range(last + 1)
        ]

    def _settle(self, second: int) -> None:
        histogram = self._second_hdr.pop(second)
        if histogram is not None and histogram.get_total_count():
            self._seconds[second] |= {
                "p50_us": int(histogram.get_value_at_percentile(50)),
                "p99_us": int(histogram.get_value_at_percentile(99)),
                "max_us": int(histogram.get_max_value()),
            }


_SERIES = ("requests", "pairs", "operations", "errors", "denied", "p50_us", "p99_us", "max_us")


def _merged(into: Any, encoded: bytes) -> Any:  # noqa: ANN401 - the library has no types
    if not encoded:
        return into
    histogram = latency.decoded(encoded)
    if into is None:
        return histogram
    into.add(histogram)
    return into
