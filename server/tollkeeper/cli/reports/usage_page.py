"""Usage as a person and as a spreadsheet read it: the plot over time, the figures, their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli.terminal.screen import amount, count, table
from tollkeeper.cli.times import from_timestamp
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from tollkeeper.cli.terminal.layout import Table
    from tollkeeper.cli.terminal.screen import Screen
    from tollkeeper.v1.admin_pb2 import PlatformEndpoint
    from tollkeeper.v1.ledger_pb2 import EndpointUsage, Usage, UsageBucket

_OUTCOMES = [
    outcome
    for outcome in ledger_pb2.Outcome.values()
    if outcome not in {ledger_pb2.OUTCOME_UNSPECIFIED, ledger_pb2.OUTCOME_VALID_RESPONSE}
]
_REASONS = [
    reason
    for reason in ledger_pb2.DenialReason.values()
    # What is denied to an account that there is not is counted nowhere.
    if reason > ledger_pb2.DENIAL_REASON_ACCOUNT_NOT_FOUND
]


def outcome_word(outcome: ledger_pb2.Outcome.ValueType) -> str:
    """Return how a request ended, in a word."""
    return ledger_pb2.Outcome.Name(outcome).removeprefix("OUTCOME_").lower()


def reason_word(reason: ledger_pb2.DenialReason.ValueType) -> str:
    """Return why a request was denied, in a word."""
    return ledger_pb2.DenialReason.Name(reason).removeprefix("DENIAL_REASON_").lower()


TABLE_COLUMNS = ("requests", "credits", "released", "expired", "denied", "free")
MOSTLY_ZERO = ("released", "expired", "denied", "free")
CSV_COLUMNS = (
    *("requests", "credits", "released", "expired", "denied"),
    "refunded_credits",
    "free_requests",
    *(f"released_{outcome_word(outcome)}" for outcome in _OUTCOMES),
    *(f"denied_{reason_word(reason)}" for reason in _REASONS),
)

_LABELS = {"hour": "%H:%M", "day": "%-d %b", "month": "%b %Y"}
_DAY_LABEL_FROM_BUCKETS = 48
"""From so many hours on the plot says the day, not the hour."""

WIDTH_UNSEEN = 100
"""Columns of a plot that goes to a pipe or a file."""
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
        usage.free_requests,
        *_in_order(_OUTCOMES, {each.outcome: each.requests for each in usage.released_by_outcome}),
        *_in_order(_REASONS, {each.reason: each.requests for each in usage.denied_by_reason}),
    )


def _in_order(numbers: Iterable[int], counts: Mapping[int, int]) -> Iterator[int]:
    return (counts.get(number, 0) for number in numbers)


def table_values(usage: Usage) -> list[str]:
    """Return the figures of TABLE_COLUMNS, written for a person."""
    figures = (usage.requests, usage.credits, usage.released, usage.expired, usage.denied)
    return [amount(number) for number in (*figures, usage.free_requests)]


def endpoint_table(endpoints: Sequence[EndpointUsage | PlatformEndpoint], total: Usage) -> Table:
    """Return what endpoints consumed, and the total where there is more than one."""
    ids = ("method", "path")
    rows = table(*ids, *TABLE_COLUMNS, numbers=TABLE_COLUMNS, ids=ids, zeros=MOSTLY_ZERO)
    for endpoint in endpoints:
        rows.add_row(endpoint.method, endpoint.path, *table_values(endpoint.usage))
    if len(endpoints) > 1:
        rows.add_footer("total", "", *table_values(total))
    return rows


def consumed(usage: Usage) -> str:
    """Say what was consumed, and what else became of requests, as far as anything did."""
    parts = [
        f"{amount(number)} {word}"
        for number, word in (
            (usage.released, "released"),
            (usage.expired, "expired"),
            (usage.denied, "denied"),
            (usage.free_requests, "free"),
            (usage.refunded_credits, "credits refunded"),
        )
        if number
    ]
    others = f"; {', '.join(parts)}" if parts else ""
    return (
        f"{count(usage.credits, 'credit')} consumed by {count(usage.requests, 'request')}{others}"
    )


def print_not_charged(screen: Screen, usage: Usage) -> None:
    """Say why requests were released and denied, where any were."""
    rows = table("", "why", "requests", numbers=("requests",))
    for each in usage.released_by_outcome:
        rows.add_row("released", outcome_word(each.outcome), amount(each.requests))
    for each in usage.denied_by_reason:
        rows.add_row("denied", reason_word(each.reason), amount(each.requests))
    if rows.rows:
        screen.print()
        screen.print("Not charged", "bold")
        screen.print(rows)


def print_plot(screen: Screen, series: Sequence[UsageBucket], *, by: str, zone: ZoneInfo) -> None:
    """Draw the credits over time."""
    from tollkeeper.cli.reports import plot  # noqa: PLC0415 - slow to load

    form = _LABELS[by]
    if by == "hour" and len(series) >= _DAY_LABEL_FROM_BUCKETS:
        form = _LABELS["day"]
    bars = [
        plot.Bar(from_timestamp(bucket.start_time, zone).strftime(form), bucket.usage.credits)
        for bucket in series
    ]
    columns = plot.draw(
        bars,
        width=min(screen.width or WIDTH_UNSEEN, _PLOT_WIDTH_MAX),
        ascii_only=screen.ascii_only,
    )
    together = columns.buckets_per_column
    column = f"{count(together, by)}" if together > 1 else by
    screen.print(f"credits by {column}", "dim")
    screen.print_drawing(columns.text)
