"""Usage as a person and as a spreadsheet read it: the plot over time, the figures, their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tollkeeper.cli.screen import amount, count
from tollkeeper.cli.times import from_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from rich.console import Console

    from tollkeeper.v1.ledger_pb2 import Usage, UsageBucket

CSV_COLUMNS = ("requests", "credits", "released", "expired", "denied", "refunded_credits")
TABLE_COLUMNS = ("requests", "credits", "released", "expired", "denied")

_LABELS = {"hour": "%H:%M", "day": "%-d %b", "month": "%b %Y"}
_DAY_LABEL_FROM_BUCKETS = 48
"""From so many hours on the plot says the day, not the hour."""

_PLOT_WIDTH_MAX = 120


def csv_values(usage: Usage) -> tuple[int, ...]:
    """Return the figures of CSV_COLUMNS."""
    return (
        usage.requests,
        usage.credits,
        usage.released,
        usage.expired,
        usage.denied,
        usage.refunded_credits,
    )


def table_values(usage: Usage) -> list[str]:
    """Return the figures of TABLE_COLUMNS, written for a person."""
    return [amount(number) for number in csv_values(usage)[: len(TABLE_COLUMNS)]]


def consumed(usage: Usage) -> str:
    """Say what was consumed, and what else became of requests, as far as anything did."""
    parts = [
        f"{amount(number)} {word}"
        for number, word in (
            (usage.released, "released"),
            (usage.expired, "expired"),
            (usage.denied, "denied"),
            (usage.refunded_credits, "credits refunded"),
        )
        if number
    ]
    others = f"; {', '.join(parts)}" if parts else ""
    return (
        f"{count(usage.credits, 'credit')} consumed by {count(usage.requests, 'request')}{others}"
    )


def print_plot(screen: Console, series: Sequence[UsageBucket], *, by: str, zone: ZoneInfo) -> None:
    """Draw the credits over time."""
    from tollkeeper.cli import plot  # noqa: PLC0415 - slow to load

    form = _LABELS[by]
    if by == "hour" and len(series) >= _DAY_LABEL_FROM_BUCKETS:
        form = _LABELS["day"]
    bars = [
        plot.Bar(from_timestamp(bucket.start_time, zone).strftime(form), bucket.usage.credits)
        for bucket in series
    ]
    drawn = plot.draw(
        bars,
        width=min(screen.width, _PLOT_WIDTH_MAX),
        ascii_only=screen.options.ascii_only,
    )
    together = drawn.buckets_per_column
    column = f"{count(together, by)}" if together > 1 else by
    screen.print(Text(f"credits by {column}", style="dim"))
    text = Text(drawn.text, no_wrap=True)
    text.highlight_regex(r"[▀-▟#]+", "green")
    screen.print(text)
