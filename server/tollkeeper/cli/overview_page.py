"""The Credit Cost Overview as a page of the terminal.

From what matters most to what matters least: what is left, what was consumed and when, on which
endpoints, from which grants, at which prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text

from tollkeeper.cli import plot
from tollkeeper.cli.prices import price_table, unlisted_sentence
from tollkeeper.cli.screen import amount, count, facts, minute, moment, table
from tollkeeper.cli.times import from_timestamp

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rich.console import Console

    from tollkeeper.v1.ledger_pb2 import GetOverviewResponse, LimitStatus, Usage, UsageBucket
    from tollkeeper.v1.prices_pb2 import PriceList

_LABELS = {"hour": "%H:%M", "day": "%-d %b", "month": "%b %Y"}
_DAY_LABEL_FROM_BUCKETS = 48
"""From so many hours on the plot says the day, not the hour."""

_PLOT_WIDTH_MAX = 120
_USAGE_COLUMNS = ("requests", "credits", "released", "expired", "denied")


def print_overview(
    screen: Console, overview: GetOverviewResponse, *, by: str, zone: ZoneInfo
) -> None:
    """Print the whole page."""
    _heading(screen, f"Credit Cost Overview of {overview.account_id}")
    _print_balance(screen, overview, zone)
    _print_period(screen, overview, by=by, zone=zone)
    _print_endpoints(screen, overview)
    _print_limits(screen, list(overview.limits), zone)
    _print_grants(screen, overview, zone)
    _print_prices(screen, overview, zone)


def _heading(screen: Console, text: str) -> None:
    screen.print()
    screen.print(Text(text, style="bold"))


def _print_balance(screen: Console, overview: GetOverviewResponse, zone: ZoneInfo) -> None:
    balance = overview.balance
    limit = balance.credit_limit
    style = "bold green" if balance.available > 0 else "bold red"
    screen.print(
        facts(
            ("as of", moment(overview.as_of, zone)),
            ("available", Text(count(balance.available, "credit"), style=style)),
            ("settled", amount(balance.settled)),
            ("held", f"{amount(balance.held)} by open requests" if balance.held else "0"),
            ("credit limit", amount(limit) if limit else ""),
            ("consumed", f"{amount(overview.lifetime_credits)} since the account was opened"),
        )
    )


def _print_period(
    screen: Console, overview: GetOverviewResponse, *, by: str, zone: ZoneInfo
) -> None:
    start, end = minute(overview.start_time, zone), minute(overview.end_time, zone)
    _heading(screen, f"{start} to {end} {zone.key}")
    total = overview.total
    screen.print(
        f"{count(total.credits, 'credit')} consumed by {count(total.requests, 'request')}"
        + _others(total)
    )
    if total.credits:
        screen.print()
        _print_plot(screen, list(overview.series), by=by, zone=zone)


def _others(usage: Usage) -> str:
    """Say what else became of requests, as far as anything did."""
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
    return f"; {', '.join(parts)}" if parts else ""


def _print_plot(screen: Console, series: list[UsageBucket], *, by: str, zone: ZoneInfo) -> None:
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


def _print_endpoints(screen: Console, overview: GetOverviewResponse) -> None:
    if not overview.endpoints:
        return
    rows = table("method", "path", *_USAGE_COLUMNS, numbers=_USAGE_COLUMNS)
    rows.show_footer = len(overview.endpoints) > 1
    rows.columns[0].footer = "total"
    for column, figure in zip(rows.columns[2:], _figures(overview.total), strict=True):
        column.footer = figure
    for endpoint in overview.endpoints:
        rows.add_row(endpoint.method, escape(endpoint.path), *_figures(endpoint.usage))
    _heading(screen, "By endpoint")
    screen.print(rows)


def _figures(usage: Usage) -> list[str]:
    return [
        amount(number)
        for number in (usage.requests, usage.credits, usage.released, usage.expired, usage.denied)
    ]


def _print_limits(screen: Console, limits: list[LimitStatus], zone: ZoneInfo) -> None:
    if not limits:
        return
    numbers = ("maximum", "used", "remaining")
    rows = table("limit", *numbers, "resets", numbers=numbers)
    for status in limits:
        rows.add_row(
            escape(status.limit.name),
            amount(status.limit.maximum),
            amount(status.used),
            amount(status.remaining),
            minute(status.reset_time, zone),
        )
    _heading(screen, "Limits")
    screen.print(rows)


def _print_grants(screen: Console, overview: GetOverviewResponse, zone: ZoneInfo) -> None:
    _heading(screen, "Grants, in the order they are consumed")
    if not overview.grants:
        screen.print("none with credits left")
        return
    numbers = ("remaining", "of", "priority")
    rows = table("grant", *numbers, "expires", "note", numbers=numbers)
    for grant in overview.grants:
        expires = minute(grant.expire_time, zone) if grant.HasField("expire_time") else "never"
        rows.add_row(
            grant.grant_id,
            amount(grant.remaining),
            amount(grant.credits),
            amount(grant.priority),
            expires,
            escape(grant.note),
        )
    screen.print(rows)


def _print_prices(screen: Console, overview: GetOverviewResponse, zone: ZoneInfo) -> None:
    if overview.HasField("prices"):
        since = minute(overview.prices.effective_time, zone)
        _heading(screen, f"Credits per request, since {since} (version {overview.prices.version})")
        _print_list(screen, overview.prices)
    else:
        _heading(screen, "Credits per request")
        screen.print("no price list is in force: every endpoint is free")
    before = overview.prices
    for upcoming in overview.upcoming_prices:
        start = minute(upcoming.effective_time, zone)
        _heading(screen, f"Changes to come, from {start} (version {upcoming.version})")
        _print_changes(screen, before, upcoming)
        before = upcoming


def _print_changes(screen: Console, before: PriceList, after: PriceList) -> None:
    """Print what another list makes dearer, cheaper, or names for the first or last time."""
    if after.note:
        screen.print(Text(after.note, style="dim"))
    old, new = _credits_by_endpoint(before), _credits_by_endpoint(after)
    changed = [
        endpoint
        for endpoint in dict.fromkeys((*old, *new))
        if old.get(endpoint) != new.get(endpoint)
    ]
    rows = table("method", "path", "now", "then", numbers=("now", "then"))
    for endpoint in changed:
        method, path = endpoint
        rows.add_row(method, escape(path), _price(old, endpoint), _price(new, endpoint))
    screen.print(rows if changed else "no price changes")
    if unlisted_sentence(before) != unlisted_sentence(after):
        screen.print(unlisted_sentence(after))


def _credits_by_endpoint(prices: PriceList) -> dict[tuple[str, str], int]:
    return {(price.method, price.path): price.credits for price in prices.prices}


def _price(credits: dict[tuple[str, str], int], endpoint: tuple[str, str]) -> str:
    return amount(credits[endpoint]) if endpoint in credits else "not listed"


def _print_list(screen: Console, prices: PriceList) -> None:
    if prices.note:
        screen.print(Text(prices.note, style="dim"))
    screen.print(price_table(prices))
    screen.print(unlisted_sentence(prices))
