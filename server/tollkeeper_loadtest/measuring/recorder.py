"""Measures one phase of one generator: latencies, rates, errors; tells each second as it is over."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from tollkeeper_loadtest.measuring import latency
from tollkeeper_loadtest.measuring.figures import Figures, Second

if TYPE_CHECKING:
    from collections.abc import Callable

AUTHORIZE = "authorize"
SETTLE = "settle"
PAIR = "pair"
LAG = "lag"
"""How late a request was begun: what of an open loop's latency is the generator's own."""


class Recorder:
    """All times are of the machine's monotonic clock. Counts buckets of latencies; histograms are filled once."""

    def __init__(self, start_s: float, tell: Callable[[Second], None]) -> None:
        self._start_s = start_s
        self._tell = tell
        self._counts = {name: defaultdict[int, int](int) for name in (AUTHORIZE, SETTLE, PAIR, LAG)}
        self._second = Second(0)
        self._second_counts = defaultdict[int, int](int)
        self._second_over_s = start_s + 1
        self._processor_s = time.process_time()
        self.figures = Figures(0.0)

    def begun(self, requests: int, *, lag_s: float | None) -> None:
        """Count requests that are being sent, and how late; None in a closed loop, where nothing is due."""
        self.figures.sent += requests
        if lag_s is not None:
            self._counts[LAG][latency.bucket_of(lag_s)] += 1

    def answered(self, kind: str, now_s: float, seconds: float) -> None:
        """Count an operation that was answered."""
        self._at(now_s).operations += 1
        bucket = latency.bucket_of(seconds)
        self._counts[kind][bucket] += 1
        self._second_counts[bucket] += 1

    def ended(self, now_s: float, *, pair_s: float | None = None) -> None:
        """Count a request that has come to its end; a pair took `pair_s` from its intended begin on."""
        second = self._at(now_s)
        second.requests += 1
        if pair_s is not None:
            second.pairs += 1
            self._counts[PAIR][latency.bucket_of(pair_s)] += 1

    def denied(self, now_s: float, reason: str) -> None:
        """Count a denial, which is an answer and ends its request."""
        self._at(now_s).denied += 1
        self.figures.denials[reason] += 1
        self.ended(now_s)

    def failed(self, now_s: float, reason: str) -> None:
        """Count an operation without an answer."""
        self._at(now_s).errors += 1
        self.figures.errors[reason] += 1

    def close(self, *, unsent: int, own_s: float = 0.0) -> Figures:
        """Return what was measured; `own_s`: what of the processor's time was the load test's own work."""
        self._flush()
        figures = self.figures
        figures.seconds = time.monotonic() - self._start_s
        figures.unsent = unsent
        figures.processor_s = time.process_time() - self._processor_s
        figures.own_s = own_s
        figures.busy = figures.processor_s / max(figures.seconds, 0.001)
        for name, counts in self._counts.items():
            if counts:
                histogram = latency.histogram()
                latency.fill(histogram, counts)
                figures.hdr[name] = histogram.encode()
        return figures

    def _at(self, now_s: float) -> Second:
        """Return the second that is counted in; a moment is never before the last."""
        if now_s >= self._second_over_s:
            self._flush()
            second = max(self._second.second, int(now_s - self._start_s))
            self._second = Second(second)
            self._second_over_s = self._start_s + second + 1
        return self._second

    def _flush(self) -> None:
        second = self._second
        if second.operations or second.errors:
            for name in ("requests", "pairs", "operations"):
                setattr(self.figures, name, getattr(self.figures, name) + getattr(second, name))
            histogram = latency.histogram(latency.DIGITS_OF_A_SECOND)
            latency.fill(histogram, self._second_counts)
            second.hdr = histogram.encode()
            self._second_counts.clear()
            self._tell(second)
            self._second = Second(second.second + 1)
