"""Latencies in HdrHistograms: every value to three digits, mergeable over processes, without a bound on their number.

In microseconds. The library belongs to the extra `loadtest` and is loaded when it is needed. It is slow at taking in
one value: what is measured is counted by buckets of its histograms here, and taken in by the bucket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper_loadtest.extra import extra_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_US = 3_600_000_000
"""An hour; what is longer counts as that."""

DIGITS = 3
DIGITS_OF_A_SECOND = 2
"""A bucket of more digits is a part of one of these."""

_VALUE_BITS = 11
"""Of a value of `DIGITS` digits, all are told apart up to 2 * 10**DIGITS, which takes so many bits."""
_HALF_BITS = _VALUE_BITS - 1
_EXACT_BELOW = 1 << _VALUE_BITS

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


def bucket_of(seconds: float) -> int:
    """Return the bucket, in a histogram of `DIGITS`, that a latency is counted in."""
    value = int(seconds * 1_000_000)
    if value < _EXACT_BELOW:
        return max(1, value)
    value = min(LONGEST_US, value)
    shift = value.bit_length() - _VALUE_BITS
    return (shift << _HALF_BITS) + (value >> shift)


def fill(into: Any, counts: Mapping[int, int]) -> None:  # noqa: ANN401 - likewise
    """Take in what was counted by `bucket_of`, into a histogram of as many digits or fewer."""
    for bucket, count in counts.items():
        into.record_value(_least_of(bucket), count)


def _least_of(bucket: int) -> int:
    """Return the least value of a bucket: the histogram keeps no more of any value in it."""
    if bucket < _EXACT_BELOW:
        return bucket
    shift = (bucket >> _HALF_BITS) - 1
    return (bucket - (shift << _HALF_BITS)) << shift


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
