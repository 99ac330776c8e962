"""Measures one phase of one generator: latencies, rates, errors; tells each second as it is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

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
    """All times are of the machine's monotonic clock."""

    def __init__(self, start_s: float, tell: Callable[[Second], None]) -> None:
        self._start_s = start_s
        self._tell = tell
        self._hdr = {name: latency.histogram() for name in (AUTHORIZE, SETTLE, PAIR, LAG)}
        self._second = Second(0)
        self._second_hdr: Any = latency.histogram(latency.DIGITS_OF_A_SECOND)
        self._last_s = start_s
        self._processor_s = time.process_time()
        self.figures = Figures(0.0)

    def begun(self, requests: int, *, lag_s: float | None) -> None:
        """Count requests that are being sent, and how late; None in a closed loop, where nothing is due."""
        self.figures.sent += requests
        if lag_s is not None:
            latency.record(self._hdr[LAG], lag_s)

    def answered(self, kind: str, now_s: float, seconds: float) -> None:
        """Count an operation that was answered."""
        second = self._at(now_s)
        second.operations += 1
        self.figures.operations += 1
        latency.record(self._hdr[kind], seconds)
        latency.record(self._second_hdr, seconds)

    def ended(self, now_s: float, *, pair_s: float | None = None) -> None:
        """Count a request that has come to its end; a pair took `pair_s` from its intended begin on."""
        second = self._at(now_s)
        second.requests += 1
        self.figures.requests += 1
        if pair_s is not None:
            second.pairs += 1
            self.figures.pairs += 1
            latency.record(self._hdr[PAIR], pair_s)

    def denied(self, now_s: float, reason: str) -> None:
        """Count a denial, which is an answer and ends its request."""
        self._at(now_s).denied += 1
        self.figures.denials[reason] += 1
        self.ended(now_s)

    def failed(self, now_s: float, reason: str) -> None:
        """Count an operation without an answer."""
        self._at(now_s).errors += 1
        self.figures.errors[reason] += 1

    def close(self, *, unsent: int) -> Figures:
        """Return what was measured."""
        self._flush()
        figures = self.figures
        figures.seconds = max(self._last_s, time.monotonic()) - self._start_s
        figures.unsent = unsent
        figures.busy = (time.process_time() - self._processor_s) / max(figures.seconds, 0.001)
        figures.hdr = {
            name: histogram.encode()
            for name, histogram in self._hdr.items()
            if histogram.get_total_count()
        }
        return figures

    def _at(self, now_s: float) -> Second:
        """Return the second that is counted in; a moment is never before the last."""
        self._last_s = now_s
        second = int(now_s - self._start_s)
        if second > self._second.second:
            self._flush()
            self._second = Second(second)
        return self._second

    def _flush(self) -> None:
        if self._second.operations or self._second.errors:
            self._second.hdr = self._second_hdr.encode()
            self._second_hdr.reset()
            self._tell(self._second)
            self._second = Second(self._second.second + 1)
