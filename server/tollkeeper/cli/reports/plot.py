"""Draws credits over time as columns, in the width there is, with or without colours.

Every column stands for the same number of buckets: one where they fit, more where they do not, and
then the figures are added up, so that no bucket is lost.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import plotext  # pyright: ignore[reportMissingTypeStubs] - it has none

if TYPE_CHECKING:
    from collections.abc import Sequence

HEIGHT = 11
"""Lines: nine of columns, two of time axis."""

_BAR_WIDTH_MAX = 6
_ROOM_MIN = 10
_ROUND_SMALL = (2, 4, 6, 8, 10)
_ROUND = (10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100)
_AXIS_IN_ASCII = str.maketrans({"─": "-", "┬": "+", "└": "+", "┴": "+"})


class Bar(NamedTuple):
    """One bucket: its label on the time axis, and its figure."""

    label: str
    value: int


class Plot(NamedTuple):
    """The drawn lines, and how many buckets each of its columns adds up."""

    text: str
    buckets_per_column: int


def draw(bars: Sequence[Bar], *, width: int, ascii_only: bool = False) -> Plot:
    """Draw the columns, at most `width` characters wide where that leaves any room at all."""
    together = 1
    while True:
        columns = _added_up(bars, together)
        top = _round_up(max((column.value for column in columns), default=0))
        room = max(_ROOM_MIN, width - len(f"{top:,}"))
        if len(columns) <= room:
            break
        # Sums are larger and their labels wider: look again whether there is room.
        together = max(together + 1, math.ceil(len(bars) / room))
    step = min(_BAR_WIDTH_MAX, room // max(1, len(columns)))
    return Plot(_render(columns, top=top, step=step, ascii_only=ascii_only), together)


def _added_up(bars: Sequence[Bar], together: int) -> list[Bar]:
    groups = (bars[start : start + together] for start in range(0, len(bars), together))
    return [Bar(group[0].label, sum(bar.value for bar in group)) for group in groups]


def _render(columns: Sequence[Bar], *, top: int, step: int, ascii_only: bool) -> str:
    labels_width = len(f"{top:,}")
    # plotext keeps one figure in the module, and its size within that of the terminal.
    module = cast("Any", plotext)
    module.terminal.limit(width=False, height=False)
    figure = module.figure
    figure.clear()
    figure.plot_size(labels_width + step * len(columns), HEIGHT)
    marker = "#" if ascii_only else "hd"
    filled = max(1, step - 1)
    # Half a point inside its characters, an edge is always rounded to the same side.
    left, bar_width = 0.25 / step, (filled - 0.5) / step
    figure.draw(
        figure.bar(
            [index + left + bar_width / 2 for index in range(len(columns))],
            [column.value for column in columns],
            width=bar_width,
            marker=marker,
        )
    )
    figure.axes(active=False, axis="y")
    figure.axes(active=False, axis="x", side="upper")
    figure.ruler("x").lim(0, len(columns)).alignment(lim="edge")
    figure.ruler("y").lim(0, top).alignment(lim="edge")
    ticks = _ticks(columns, step=step)
    figure.ruler("x").ticks(
        [index + 0.5 for index in ticks], [columns[index].label for index in ticks]
    )
    figure.ruler("y").ticks([0, top / 2, top], ["0", f"{top // 2:,}", f"{top:,}"])
    drawn: str = figure.build().string(colorless=True)
    lines = [line.rstrip() for line in drawn.splitlines()]
    text = "\n".join(lines)
    return text.translate(_AXIS_IN_ASCII) if ascii_only else text


def _ticks(columns: Sequence[Bar], *, step: int) -> list[int]:
    """Choose the columns whose labels stand on the axis without touching each other."""
    widest = max(len(column.label) for column in columns)
    every = max(1, math.ceil((widest + 2) / step))
    return list(range(0, len(columns), every))


def _round_up(value: int) -> int:
    """Return the next round figure that has a whole half."""
    if value <= max(_ROUND_SMALL):
        return next(figure for figure in _ROUND_SMALL if value <= figure)
    tens = 10 ** (len(str(value)) - 2)
    return next(figure * tens for figure in _ROUND if value <= figure * tens)
