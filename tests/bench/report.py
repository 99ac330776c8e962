"""Figures as a table on the screen, as Markdown for docs/explanation/performance.md, and as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.figure import Figure

_HEADINGS = ("figure", "measured", "beside", "ratio", "bound", "")
_TEN = 10


def screen_table(figures: Sequence[Figure]) -> Table:
    """Return a table for a person."""
    table = Table(title="ratios within this run: median of the rounds (lowest to highest)")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for figure in figures:
        table.add_row(*cells(figure))
    return table


def markdown(figures: Sequence[Figure]) -> str:
    """Return the same table as Markdown."""
    rows = [_HEADINGS, ("---", *["---:"] * (len(_HEADINGS) - 1))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*rows, *map(cells, figures)])


def cells(figure: Figure) -> tuple[str, ...]:
    """Return what a table says of a figure."""
    low, high = figure.spread
    spread = f" ({low:.2f} to {high:.2f})" if len(figure.measured) > 1 else ""
    return (
        figure.name,
        _amount(figure.measured) + figure.unit,
        _amount(figure.beside) + figure.unit,
        f"{figure.ratio:.2f}{spread}",
        figure.bound,
        "short" if figure.short else "",
    )


def add_to_json(file: Path, figures: Sequence[Figure]) -> None:
    """Write figures to a file; those of the same name that it has are replaced, so that a run may come in parts."""
    told: dict[str, Any] = {"figures": {}}
    if file.exists():
        told = json.loads(file.read_text(encoding="utf-8"))
    for figure in figures:
        told["figures"][figure.name] = {
            "measured": figure.measured,
            "beside": figure.beside,
            "unit": figure.unit.strip(),
            "ratio": figure.ratio,
            "at_least": figure.at_least,
            "at_most": figure.at_most,
            "python": platform.python_version(),
        }
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _amount(rounds: Sequence[float]) -> str:
    median = statistics.median(rounds)
    return f"{median:,.0f}" if median >= _TEN else f"{median:.2f}"
