"""Latencies in HdrHistograms: every value to three digits, mergeable over processes, without a bound on their number.

In microseconds. The library belongs to the extra `loadtest` and is loaded when it is needed.
"""

from __future__ import annotations

from typing import Any

from tollkeeper_loadtest.extra import extra_missing

LONGEST_US = 3_600_000_000
"""An hour; what is longer counts as that."""

DIGITS = 3
DIGITS_OF_A_SECOND = 2

PERCENTILES = {
    "p50": 50.0,
    "p75": 75.0,
    "p90": 90.0,
    "p95": 95.0,
    "p99": 99.0,
    "p99.9": 99.9,
    "p99.99": 99.99,
}


def histogram(digits: int = DIGITS) -> Any:  # noqa: ANN401 - the library has no types
    """Return an empty histogram. Raises CommandError where the library is not installed."""
    return _library().HdrHistogram(1, LONGEST_US, digits)


def decoded(encoded: bytes) -> Any:  # noqa: ANN401 - likewise
    """Return the histogram that `encode` wrote."""
    return _library().HdrHistogram.decode(encoded)


def record(into: Any, seconds: float) -> None:  # noqa: ANN401 - likewise
    """Count one latency."""
    into.record_value(min(LONGEST_US, max(1, int(seconds * 1_000_000))))


def figures(of: Any) -> dict[str, object]:  # noqa: ANN401 - likewise
    """Return what a report says of a histogram: count, mean, percentiles and maximum in microseconds, and all of it."""
    count = int(of.get_total_count())
    if not count:
        return {"count": 0}
    return {
        "count": count,
        "mean": round(float(of.get_mean_value()), 1),
        **{name: int(of.get_value_at_percentile(each)) for name, each in PERCENTILES.items()},
        "max": int(of.get_max_value()),
        "hdr": of.encode().decode("ascii"),
    }


def _library() -> Any:  # noqa: ANN401 - likewise
    try:
        from hdrh import histogram as library  # noqa: PLC0415
    except ImportError:
        raise extra_missing() from None
    return library
