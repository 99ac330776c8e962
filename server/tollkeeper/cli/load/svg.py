"""Draws lines over two axes as inline SVG: no script, no font, no reference to anything outside the page.

Colours are classes of the page's style sheet, so that a plot follows the reader's light or dark.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 860, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 44
_TICKS = 5
_LOG_TICKS_MAX = 9
_EXACT = 1 + 1e-9
"""Powers of ten are not exact."""


class Line(NamedTuple):
    """One line: its name in the legend, its points, and its colour, a class `c0` to `c5`."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int


class Axis(NamedTuple):
    """From the lowest to the highest value; `ticks` are values with their labels."""

    name: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value is, 0 to 1."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        return 0.0 if high <= low else (at - low) / (high - low)


def linear(name: str, high: float, label: Callable[[float], str] | None = None) -> Axis:
    """Return an axis from zero to a round figure."""
    step = _round_step(max(high, 1e-9) / _TICKS)
    count = max(1, math.ceil(high / step - 1e-9))
    write = label or plain
    return Axis(name, 0.0, count * step, [(i * step, write(i * step)) for i in range(count + 1)])


def logarithmic(name: str, low: float, high: float) -> Axis:
    """Return an axis between two of 1, 2, 5, 10, 20, …; its ticks are those, or powers of ten where they are many."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [part * 10.0**power for power in powers for part in (1, 2, 5)]
    first = max(each for each in marks if each <= low * _EXACT)
    last = min(each for each in marks if each >= high / _EXACT and each > first)
    within = [each for each in marks if first <= each <= last]
    if len(within) > _LOG_TICKS_MAX:
        within = [each for each in within if round(math.log10(each), 6).is_integer()]
    return Axis(name, first, last, [(each, plain(each)) for each in within], log=True)


def plot(title: str, x: Axis, y: Axis, lines: Sequence[Line], *, dots: bool = False) -> str:
    """Return the plot with its legend; `dots` marks every point."""
    parts = [
        f"<figure><figcaption>{escape(title)}</figcaption>{_legend(lines)}",
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
    ]
    parts += (_grid_y(y, value, label) for value, label in y.ticks)
    parts += (_grid_x(x, value, label) for value, label in x.ticks)
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text class="name" x="{middle:.0f}" y="{HEIGHT - 6}">{escape(x.name)}</text>')
    parts.append(
        f'<text class="name" transform="translate(14 {TOP + _inner_height() / 2:.0f}) rotate(-90)">'
        f"{escape(y.name)}</text>"
    )
    for line in lines:
        points = [(_x(x, each), _y(y, value)) for each, value in line.points]
        joined = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline class="c{line.colour}" points="{joined}"/>')
        if dots or len(points) == 1:
            parts += (
                f'<circle class="c{line.colour}" cx="{px:.1f}" cy="{py:.1f}" r="4"/>'
                for px, py in points
            )
    parts.append("</svg></figure>")
    return "".join(parts)


def plain(value: float) -> str:
    """Write a figure on an axis."""
    whole = f"{value:,.0f}"
    return whole if value == round(value) else f"{value:g}"


def _legend(lines: Sequence[Line]) -> str:
    keys = (f'<span class="key c{line.colour}">{escape(line.name)}</span>' for line in lines)
    return f'<p class="legend">{" ".join(keys)}</p>'


def _grid_x(axis: Axis, value: float, label: str) -> str:
    at, bottom = _x(axis, value), HEIGHT - BOTTOM
    return (
        f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text class="tick x" x="{at:.1f}" y="{bottom + 16}">{escape(label)}</text>'
    )


def _grid_y(axis: Axis, value: float, label: str) -> str:
    at = _y(axis, value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="tick y" x="{LEFT - 8}" y="{at + 4:.1f}">{escape(label)}</text>'
    )


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return TOP + (1 - axis.place(value)) * _inner_height()


def _inner_height() -> int:
    return HEIGHT - TOP - BOTTOM


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(part * power for part in (1, 2, 2.5, 5, 10) if step <= part * power * _EXACT)
