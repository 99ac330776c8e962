"""Puts two runs side by side: each figure, and its ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.terminal.screen import console, print_json_value, table
from tollkeeper_loadtest.measuring.latency import PERCENTILES
from tollkeeper_loadtest.reporting.files import read_report
from tollkeeper_loadtest.reporting.summary import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper_loadtest.reporting.report import Report


class FigureRatio(NamedTuple):
    """One figure of both runs; `ratio` is B's over A's, None where A's is nothing."""

    figure: str
    a: float
    b: float
    ratio: float | None


def compare_files(a: Path, b: Path, *, anyway: bool, as_json: bool) -> None:
    """Print how two runs differ; refuses runs of different settings unless told otherwise."""
    one, other = read_report(a), read_report(b)
    different = differences(one["settings"], other["settings"])
    if different and not anyway:
        raise CommandError(
            "the runs had different settings, so their figures say nothing of each other; "
            "compare them all the same with: --anyway\n" + "\n".join(f"  {d}" for d in different),
            reason=Why.FILE_INVALID,
        )
    lines = compared(one, other)
    if as_json:
        print_json_value(
            {"different_settings": different, "figures": [each._asdict() for each in lines]}
        )
        return
    screen = console()
    for each in different:
        screen.print(f"different: {each}")
    rows = table("figure", "A", "B", "B / A", numbers=("A", "B", "B / A"))
    for each in lines:
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        rows.add_row(each.figure, f"{each.a:,.1f}", f"{each.b:,.1f}", ratio)
    screen.print(rows)


def differences(a: Report, b: Report) -> list[str]:
    """Name the settings that differ."""
    return [
        f"{name}: {a.get(name)} and {b.get(name)}"
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    ]


def compared(a: Report, b: Report) -> list[FigureRatio]:
    """Return the figures of two reports side by side."""
    lines = [
        _line("pairs a second", a["load"]["pairs_per_s"], b["load"]["pairs_per_s"]),
        _line("operations a second", a["load"]["operations_per_s"], b["load"]["operations_per_s"]),
    ]
    for kind, name in NAMES.items():
        one, other = (_latencies(each, kind) for each in (a, b))
        lines += [
            _line(f"{name}: {column}, ms", one[column] / 1000, other[column] / 1000)
            for column in ("mean", *PERCENTILES, "max")
            if column in one and column in other
        ]
    lines += [
        _line(name, sum(a["load"][name].values()), sum(b["load"][name].values()))
        for name in ("errors", "denials")
    ]
    if a["find_max"] and b["find_max"]:
        lines.append(_line("highest rate", a["find_max"]["rate"] or 0, b["find_max"]["rate"] or 0))
    return lines


def _latencies(report: Report, kind: str) -> dict[str, Any]:
    return report["latency_us"].get(kind, {})


def _line(figure: str, a: float, b: float) -> FigureRatio:
    return FigureRatio(figure, a, b, b / a if a else None)
