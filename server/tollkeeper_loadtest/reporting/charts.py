"""The charts of a report: rates and latencies over time, the distribution of latencies, and a search's trials.

Altair describes a chart and vl-convert draws it, in this process and without a browser, as SVG that can stand in a
page. Colours are variables of the page's style sheet, so that a chart follows the reader's light or dark.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import altair as alt
import vl_convert

from tollkeeper_loadtest.measuring import latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper_loadtest.reporting.report import Report

SHORTEST_MS = 0.01
WIDTH, HEIGHT = 780, 220
TICKS = 5
LOG_TICKS_MAX = 9
"""With more, only powers of ten have a label."""
PLAIN = ",~r"
"""How a figure is written on an axis: with commas, without needless zeros."""
_POINTS_A_DECADE = 20
_KINDS = (("authorize", "Authorize", 0), ("settle", "Commit, Release", 1), ("pair", "both", 2))
_EXACT = 1 + 1e-9
"""Powers of ten are not exact."""

STYLE = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "gridColor": "var(--rule)",
        "labelColor": "var(--dim)",
        "labelFontSize": 12,
        "tickColor": "var(--rule)",
        "titleColor": "var(--dim)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": "var(--dim)", "labelFontSize": 13},
}


class ChartLine(NamedTuple):
    """One line: its name in the legend, its points, and its colour, a variable `--c0` to `--c5` of the page."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int


class Chart(NamedTuple):
    """A chart, its title, and what it shows."""

    title: str
    lines: Sequence[ChartLine]
    x: alt.X
    y: alt.Y
    marks_points: bool = False

    def specification(self) -> dict[str, Any]:
        """Return the chart as a Vega-Lite specification."""
        points = [
            {"name": line.name, "x": x, "y": y} for line in self.lines for x, y in line.points
        ]
        # A line of one point would not be seen.
        with_points = self.marks_points or any(len(line.points) == 1 for line in self.lines)
        colour = alt.Color(
            "name:N",
            title=None,
            scale=alt.Scale(
                domain=[line.name for line in self.lines],
                range=[f"var(--c{line.colour})" for line in self.lines],
            ),
            legend=alt.Legend(orient="top", symbolType="stroke", symbolStrokeWidth=3),
        )
        chart = (
            alt.Chart(alt.InlineData(values=points), width=WIDTH, height=HEIGHT)
            .mark_line(point=with_points, strokeWidth=2, strokeJoin="round")
            .encode(x=self.x, y=self.y, color=colour)
        )
        return {**chart.to_dict(), "config": STYLE}

    def svg(self) -> str:
        """Draw the chart."""
        return vl_convert.vegalite_to_svg(self.specification())


def charts_of(report: Report) -> list[Chart]:
    """Return those that there is something to show in."""
    series = _whole_seconds(report)
    charts = [_rates(series), _over_time(series)] if series else []
    if report["latency_us"]:
        charts.append(_distribution(report["latency_us"]))
    if report["find_max"] and report["find_max"]["trials"]:
        charts.append(_trials(report["find_max"]))
    return charts


def _whole_seconds(report: Report) -> list[dict[str, int]]:
    """Leave out the part of a second at the end, in which the last answers came."""
    series: list[dict[str, int]] = report["series"]
    return series[: max(1, int(report["load"]["seconds"] + 0.01))]


def _rates(series: Sequence[dict[str, int]]) -> Chart:
    lines = [
        ChartLine(name, [(each["second"] + 1, each[key]) for each in series], colour)
        for key, name, colour in (
            ("pairs", "pairs", 0),
            ("operations", "operations", 1),
            ("denied", "denied", 4),
            ("errors", "errors", 3),
        )
        if key in {"pairs", "operations"} or any(each[key] for each in series)
    ]
    highest = max((y for line in lines for _, y in line.points), default=0)
    scale = alt.Scale(domain=[0, max(highest, 1)], nice=TICKS)
    axis = alt.Axis(format=PLAIN, tickCount=TICKS)
    y = alt.Y("y:Q", title="a second", scale=scale, axis=axis)
    return Chart("Throughput", lines, _seconds(series), y)


def _over_time(series: Sequence[dict[str, int]]) -> Chart:
    measured = [each for each in series if each["max_us"]]
    lines = [
        ChartLine(name, [(each["second"] + 1, each[key] / 1000) for each in measured], colour)
        for key, name, colour in (
            ("max_us", "max", 3),
            ("p99_us", "p99", 1),
            ("p50_us", "p50", 0),
        )
    ]
    title = "Latency of the operations answered in each second"
    return Chart(title, lines, _seconds(series), _milliseconds(lines))


def _distribution(latencies: dict[str, Any]) -> Chart:
    lines = [
        ChartLine(name, _curve(latencies[kind]["hdr"]), colour)
        for kind, name, colour in _KINDS
        if latencies.get(kind, {}).get("count")
    ]
    decades = math.ceil(max((line.points[-1][0] for line in lines), default=1.0))
    labels = {0.0: "0", math.log10(2): "50"}
    labels |= {float(nines): _percent(nines) for nines in range(1, decades + 1)}
    written = json.dumps({f"{place:.3f}": label for place, label in labels.items()})
    x = alt.X(
        "x:Q",
        title="percentile",
        scale=alt.Scale(domain=[0, decades], nice=False),
        axis=alt.Axis(values=list(labels), labelExpr=f"({written})[format(datum.value, '.3f')]"),
    )
    return Chart("Distribution of latencies", lines, x, _milliseconds(lines))


def _trials(search: Report) -> Chart:
    trials = sorted(search["trials"], key=lambda each: each["rate"])
    lines = [
        ChartLine(
            name,
            [(each["rate"], max(each[key] / 1000, SHORTEST_MS)) for each in trials if each[key]],
            colour,
        )
        for key, name, colour in (
            ("authorize_p99_us", "p99 of Authorize", 0),
            ("settle_p99_us", "p99 of Commit, Release", 1),
        )
    ]
    highest = max(each["rate"] for each in trials)
    bound = [(0.0, search["p99_ms"]), (highest, search["p99_ms"])]
    lines.append(ChartLine("the bound", bound, 3))
    scale = alt.Scale(domain=[0, highest], nice=TICKS)
    x = alt.X("x:Q", title="requests a second", scale=scale, axis=alt.Axis(format=PLAIN))
    return Chart("Trials of the search", lines, x, _milliseconds(lines), marks_points=True)


def _curve(encoded: str) -> list[tuple[float, float]]:
    """Return latencies in milliseconds by decades of percentiles: 1 is 90, 2 is 99, 3 is 99.9."""
    histogram = latency.decoded(encoded.encode())
    decades = math.log10(max(10, histogram.get_total_count()))
    steps = int(decades * _POINTS_A_DECADE) + 1
    at = [decades * step / steps for step in range(steps + 1)]
    return [(each, histogram.get_value_at_percentile(100 - 10 ** (2 - each)) / 1000) for each in at]


def _percent(nines: int) -> str:
    return "90" if nines == 1 else "99" + ("." + "9" * (nines - 2) if nines > 2 else "")  # noqa: PLR2004


def _seconds(series: Sequence[dict[str, int]]) -> alt.X:
    scale = alt.Scale(domain=[0, len(series)], nice=False)
    return alt.X("x:Q", title="seconds", scale=scale, axis=alt.Axis(format=PLAIN))


def _milliseconds(lines: Sequence[ChartLine]) -> alt.Y:
    values = [max(y, SHORTEST_MS) for line in lines for _, y in line.points] or [1.0]
    marks = _marks(min(values), max(values))
    powers = [each for each in marks if round(math.log10(each), 6).is_integer()]
    ticks = marks if len(marks) <= LOG_TICKS_MAX else powers
    scale = alt.Scale(type="log", domain=[marks[0], marks[-1]], nice=False, clamp=True)
    axis = alt.Axis(values=ticks, format=PLAIN)
    return alt.Y("y:Q", title="milliseconds", scale=scale, axis=axis)


def _marks(low: float, high: float) -> list[float]:
    """Return those of 1, 2, 5, 10, 20, … between which all values are, at least two."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [round(part * 10.0**power, 9) for power in powers for part in (1, 2, 5)]
    first = max(each for each in marks if each <= low * _EXACT)
    last = min(each for each in marks if each >= high / _EXACT and each > first)
    return [each for each in marks if first <= each <= last]
