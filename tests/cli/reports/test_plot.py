"""The plot of credits over time, as text."""

from __future__ import annotations

import pytest

from tollkeeper.cli.reports.plot import HEIGHT, Bar, Plot, draw


def drawn(*values: int, width: int = 80, ascii_only: bool = False) -> Plot:
    bars = [Bar(f"{index}", value) for index, value in enumerate(values, start=1)]
    return draw(bars, width=width, ascii_only=ascii_only)


def column_heights(plot: Plot, columns: int, step: int) -> list[int]:
    """Count the filled lines of every column, from its first character."""
    lines = plot.text.splitlines()[: HEIGHT - 2]
    left = lines[-1].index("#")
    return [
        sum(line[left + step * index : left + step * index + 1] == "#" for line in lines)
        for index in range(columns)
    ]


def test_a_column_is_as_high_as_its_value() -> None:
    plot = drawn(100, 50, 100, ascii_only=True)

    heights = column_heights(plot, columns=3, step=6)

    assert heights[0] == heights[2] == HEIGHT - 2
    assert heights[1] in {4, 5}


def test_the_axis_names_the_greatest_the_half_and_nothing() -> None:
    text = drawn(1_000, 250).text

    assert [line.split("█")[0].split()[0] for line in text.splitlines() if line[:1].isdigit()] == [
        "1,000"
    ]
    assert "  500" in text
    assert "    0" in text


@pytest.mark.parametrize("columns", [1, 7, 31, 90, 744, 10_000])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_there_is_room(columns: int, width: int) -> None:
    text = drawn(*([3] * columns), width=width).text

    assert max(map(len, text.splitlines())) <= width


def test_buckets_that_do_not_fit_are_added_up() -> None:
    plot = drawn(*([1] * 100), width=30, ascii_only=True)

    assert plot.buckets_per_column == 4
    assert "4" in plot.text


def test_the_smallest_value_is_still_seen() -> None:
    text = drawn(1_000_000, 1, 0).text

    assert text.splitlines()[HEIGHT - 3].count("▄") > 0


def test_without_unicode_there_is_nothing_but_ascii() -> None:
    assert drawn(5, 3, 8, ascii_only=True).text.isascii()


def test_nothing_at_all_can_be_drawn() -> None:
    assert "1" in drawn(0, 0, 0).text
