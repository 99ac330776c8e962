"""The Credit Cost Overview as a page of the terminal.

From what matters most to what matters least: what is left, what was consumed and when, on which
endpoints, from which grants, at which prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli.accounts.alerts import alert_table
from tollkeeper.cli.accounts.changes import limit_table
from tollkeeper.cli.accounts.recurring import recurring_table
from tollkeeper.cli.prices.page import SHOWN_MAX, print_first, print_rest, unlisted_sentence
from tollkeeper.cli.prices.price_lists import from_message
from tollkeeper.cli.reports.usage_page import (
    consumed,
    endpoint_table,
    print_not_charged,
    print_plot,
)
from tollkeeper.cli.terminal.screen import Styled, amount, count, facts, minute, moment, table

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tollkeeper.cli.terminal.screen import Screen
    from tollkeeper.v1.ledger_pb2 import GetOverviewResponse
    from tollkeeper.v1.prices_pb2 import PriceList


def print_overview(
    screen: Screen, overview: GetOverviewResponse, *, by: str, zone: ZoneInfo
) -> None:
    """Print the whole page."""
    _heading(screen, f"Credit Cost Overview of {overview.account_id}")
    _print_balance(screen, overview, zone)
    _print_period(screen, overview, by=by, zone=zone)
    _print_endpoints(screen, overview)
    print_not_charged(screen, overview.total)
    _print_limits(screen, overview, zone)
    _print_alerts(screen, overview)
    _print_grants(screen, overview, zone)
    if overview.recurring_grants:
        _heading(screen, "Recurring grants")
        screen.print(recurring_table(overview.recurring_grants, zone))
    _print_prices(screen, overview, zone)


def _heading(screen: Screen, text: str) -> None:
    screen.print()
    screen.print(text, "bold")


def _print_balance(screen: Screen, overview: GetOverviewResponse, zone: ZoneInfo) -> None:
    balance = overview.balance
    limit = balance.credit_limit
    style = "bold green" if balance.available > 0 else "bold red"
    screen.print(
        facts(
            ("as of", moment(overview.as_of, zone)),
            ("available", Styled(count(balance.available, "credit"), style)),
            ("settled", amount(balance.settled)),
            ("held", f"{amount(balance.held)} by open requests" if balance.held else "0"),
            ("credit limit", amount(limit) if limit else ""),
            (
                "consumed",
                f"{amount(overview.lifetime_credits)} since the account was opened"
                + (", refunds taken off" if overview.total.refunded_credits else ""),
            ),
        )
    )


def _print_period(
    screen: Screen, overview: GetOverviewResponse, *, by: str, zone: ZoneInfo
) -> None:
    start, end = minute(overview.start_time, zone), minute(overview.end_time, zone)
    _heading(screen, f"{start} to {end} {zone.key}")
    total = overview.total
    screen.print(consumed(total))
    if total.credits:
        screen.print()
        print_plot(screen, overview.series, by=by, zone=zone)


def _print_endpoints(screen: Screen, overview: GetOverviewResponse) -> None:
    if not overview.endpoints:
        return
    _heading(screen, "By endpoint")
    screen.print(endpoint_table(overview.endpoints, overview.total))


def _print_limits(screen: Screen, overview: GetOverviewResponse, zone: ZoneInfo) -> None:
    if not overview.limits:
        return
    _heading(screen, "Limits")
    screen.print(limit_table(overview.limits, zone))


def _print_alerts(screen: Screen, overview: GetOverviewResponse) -> None:
    if not overview.alerts:
        return
    _heading(screen, "Alerts")
    screen.print(alert_table(overview.alerts))


def _print_grants(screen: Screen, overview: GetOverviewResponse, zone: ZoneInfo) -> None:
    _heading(screen, "Grants, in the order they are consumed")
    if not overview.grants:
        screen.print("none with credits left")
        return
    numbers = ("remaining", "of", "priority")
    columns = ("grant", *numbers, "expires", "note")
    rows = table(*columns, numbers=numbers, ids=("grant", "expires"), zeros=("priority",))
    for grant in overview.grants:
        expires = minute(grant.expire_time, zone) if grant.HasField("expire_time") else "never"
        rows.add_row(
            grant.grant_id,
            amount(grant.remaining),
            amount(grant.credits),
            amount(grant.priority),
            expires,
            grant.note,
        )
    screen.print(rows)


def _print_prices(screen: Screen, overview: GetOverviewResponse, zone: ZoneInfo) -> None:
    if overview.HasField("prices"):
        since = minute(overview.prices.effective_time, zone)
        _heading(screen, f"Credits per request, since {since} ({_which(overview.prices)})")
        _print_list(screen, overview)
    else:
        _heading(screen, "Credits per request")
        screen.print("no price list is in force: every endpoint is free")
    before = overview.prices
    for upcoming in overview.upcoming_prices:
        start = minute(upcoming.effective_time, zone)
        _heading(screen, f"Changes to come, from {start} ({_which(upcoming)})")
        _print_changes(screen, before, upcoming)
        before = upcoming


def _which(prices: PriceList) -> str:
    if not prices.version:
        return "no price list"
    return (
        f"price list {prices.name}, version {prices.version}"
        if prices.name
        else f"version {prices.version}"
    )


def _print_changes(screen: Screen, before: PriceList, after: PriceList) -> None:
    """Print what another list makes dearer, cheaper, or names for the first or last time."""
    if after.note:
        screen.print(after.note, "dim")
    old, new = _credits_by_endpoint(before), _credits_by_endpoint(after)
    changed = [
        endpoint
        for endpoint in dict.fromkeys((*old, *new))
        if old.get(endpoint) != new.get(endpoint)
    ]
    rows = table("method", "path", "now", "then", numbers=("now", "then"), ids=("method", "path"))
    for endpoint in changed[:SHOWN_MAX]:
        method, path = endpoint
        rows.add_row(method, path, _price(old, endpoint), _price(new, endpoint))
    screen.print(rows if changed else "no price changes")
    print_rest(screen, len(changed), all_of_it=f"tollkeeper prices show --version {after.version}")
    sentences = [unlisted_sentence(from_message(each)) for each in (before, after)]
    if sentences[0] != sentences[1]:
        screen.print(sentences[1])


def _credits_by_endpoint(prices: PriceList) -> dict[tuple[str, str], int]:
    return {(price.method, price.path): price.credits for price in prices.prices}


def _price(credits: dict[tuple[str, str], int], endpoint: tuple[str, str]) -> str:
    return amount(credits[endpoint]) if endpoint in credits else "not listed"


def _print_list(screen: Screen, overview: GetOverviewResponse) -> None:
    prices = overview.prices
    if prices.note:
        screen.print(prices.note, "dim")
    every = f"tollkeeper prices show --account {overview.account_id}"
    print_first(screen, from_message(prices), all_of_it=every)
