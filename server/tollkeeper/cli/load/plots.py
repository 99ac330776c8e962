"""The plots of a report: rates and latencies over time, the distribution of latencies, and a search's trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tollkeeper.cli.load import latency
from tollkeeper.cli.load.svg import Axis, Line, linear, logarithmic, plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.cli.load.report import Report

SHORTEST_MS = 0.01
_POINTS_A_DECADE = 20
_KINDS = (("authorize", "Authorize", 0), ("settle", "Commit, Release", 1), ("pair", "both", 2))


def plots_of(report: Report) -> list[str]:
    """Return those that there is something to draw for."""
    series = _whole_seconds(report)
    drawn = [_rates(series), _over_time(series)] if series else []
    if report["latency_us"]:
        drawn.append(_distribution(report["latency_us"]))
    if report["find_max"] and report["find_max"]["trials"]:
        drawn.append(_trials(report["find_max"]))
    return drawn


def _whole_seconds(report: Report) -> list[dict[str, int]]:
    """Leave out the part of a second at the end, in which the last answers came."""
    series: list[dict[str, int]] = report["series"]
    return series[: max(1, int(report["load"]["seconds"] + 0.01))]


def _rates(series: Sequence[dict[str, int]]) -> str:
    lines = [
        Line(name, [(each["second"] + 1, each[key]) for each in series], colour)
        for key, name, colour in (
            ("pairs", "pairs", 0),
            ("operations", "operations", 1),
            ("denied", "denied", 4),
            ("errors", "errors", 3),
        )
        if key in {"pairs", "operations"} or any(each[key] for each in series)
    ]
    return plot("Throughput", _time_axis(series), _to_the_top("a second", lines), lines)


def _over_time(series: Sequence[dict[str, int]]) -> str:
    measured = [each for each in series if each["max_us"]]
    lines = [
        Line(name, [(each["second"] + 1, each[key] / 1000) for each in measured], colour)
        for key, name, colour in (
            ("max_us", "max", 3),
            ("p99_us", "p99", 1),
            ("p50_us", "p50", 0),
        )
    ]
    return plot(
        "Latency of the operations answered in each second",
        _time_axis(series),
        _milliseconds(lines),
        lines,
    )


def _distribution(latencies: dict[str, Any]) -> str:
    lines = [
        Line(name, _curve(latencies[kind]["hdr"]), colour)
        for kind, name, colour in _KINDS
        if latencies.get(kind, {}).get("count")
    ]
    decades = max((line.points[-1][0] for line in lines), default=1.0)
    ticks = [(0.0, "0"), (math.log10(2), "50")] + [
        (float(nines), _percent(nines)) for nines in range(1, math.ceil(decades) + 1)
    ]
    axis = Axis("percentile", 0.0, float(math.ceil(decades)), ticks)
    return plot("Distribution of latencies", axis, _milliseconds(lines), lines)


def _trials(found: Report) -> str:
    trials = sorted(found["trials"], key=lambda each: each["rate"])
    lines = [
        Line(
            name,
            [(each["rate"], max(each[key] / 1000, SHORTEST_MS)) for each in trials if each[key]],
            colour,
        )
        for key, name, colour in (
            ("authorize_p99_us", "p99 of Authorize", 0),
            ("settle_p99_us", "p99 of Commit, Release", 1),
        )
    ]
    x = linear("requests a second", max(each["rate"] for each in trials))
    lines.append(Line("the bound", [(x.low, found["p99_ms"]), (x.high, found["p99_ms"])], 3))
    return plot("Trials of the search", x, _milliseconds(lines), lines, dots=True)


def _curve(encoded: str) -> list[tuple[float, float]]:
    """Return latencies in milliseconds by decades of percentiles: 1 is 90, 2 is 99, 3 is 99.9."""
    found = latency.decoded(encoded.encode())
    decades = math.log10(max(10, found.get_total_count()))
    steps = int(decades * _POINTS_A_DECADE) + 1
    at = [decades * step / steps for step in range(steps + 1)]
    return [(each, found.get_value_at_percentile(100 - 10 ** (2 - each)) / 1000) for each in at]


def _percent(nines: int) -> str:
    return "90" if nines == 1 else "99" + ("." + "9" * (nines - 2) if nines > 2 else "")  # noqa: PLR2004


def _time_axis(series: Sequence[dict[str, int]]) -> Axis:
    return linear("seconds", float(len(series)))


def _to_the_top(name: str, lines: Sequence[Line]) -> Axis:
    return linear(name, max((y for line in lines for _, y in line.points), default=1.0))


def _milliseconds(lines: Sequence[Line]) -> Axis:
    values = [max(y, SHORTEST_MS) for line in lines for _, y in line.points] or [1.0]
    return logarithmic("milliseconds", min(values), max(values))
