"""Builds the Credit Cost Overview from one snapshot.

Total, endpoints and series are three sums of the same counters, so they add up to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.account import shard_of
from tollkeeper.core.alerts.rules import readings
from tollkeeper.core.answers.buckets import period_of
from tollkeeper.core.answers.views import EndpointUsage, Overview, UsageBucket
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.pricing.assignments import prices_now, prices_to_come
from tollkeeper.core.usage import UsageTotals
from tollkeeper.storage.read.accounts import load_account
from tollkeeper.storage.read.limit_status import load_limits, with_present
from tollkeeper.storage.read.prices import load_price_book
from tollkeeper.storage.read.usage import Counted, load_usage
from tollkeeper.storage.read.usage_sums import Totals, add_usage, endpoint_names, no_usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from tollkeeper.core.answers.buckets import Period
    from tollkeeper.core.commands import GetOverview
    from tollkeeper.core.usage import Usage


def load_overview(connection: Connection, query: GetOverview, now_us: int) -> Overview:
    """Return the overview. Raises Refused for an unknown account, a bad period or a bad zone."""
    period = period_of(query, now_us=now_us)
    account, due, due_windows = load_account(connection, query.account_id, now_us)
    counted = [
        *load_usage(connection, shard_of(account.key), account.key, period),
        *_counted(due, period),
    ]
    series = [no_usage() for _ in period.starts_us]
    by_endpoint: dict[int, Totals] = {}
    total = no_usage()
    for each in counted:
        add_usage(series[each.bucket], each)
        add_usage(by_endpoint.setdefault(each.endpoint_id, no_usage()), each)
        add_usage(total, each)
    book = load_price_book(connection, now_us)
    limits = load_limits(connection, account, due_windows, now_us)
    return Overview(
        account_id=account.account_id,
        as_of_us=now_us,
        balance=account.balance,
        lifetime_credits=account.charged,
        start_us=period.start_us,
        end_us=period.end_us,
        total=UsageTotals(*total),
        endpoints=_endpoints(connection, by_endpoint),
        series=tuple(
            UsageBucket(start_us, UsageTotals(*totals))
            for start_us, totals in zip(period.starts_us, series, strict=True)
        ),
        grants=tuple(grant for grant in account.grants if grant.remaining or grant.held),
        prices=prices_now(book, account.pricing, now_us),
        upcoming_prices=prices_to_come(book, account.pricing, now_us),
        recurring=tuple(each for each in account.recurring if each.next_us != NEVER_US),
        limits=limits,
        alerts=readings(with_present(account, limits), now_us),
    )


def _counted(due: Iterable[Usage], period: Period) -> Iterable[Counted]:
    """Yield what is due but not written yet as if it had been counted."""
    for usage in due:
        bucket = period.bucket_at(usage.at_us)
        if bucket is not None:
            yield Counted(bucket, usage.endpoint_id, usage.kind, usage.requests, usage.credits)


def _endpoints(connection: Connection, by_endpoint: dict[int, Totals]) -> tuple[EndpointUsage, ...]:
    """Return every endpoint with any usage: most credits first, then by name."""
    used = sorted(endpoint_id for endpoint_id, totals in by_endpoint.items() if any(totals))
    endpoints = [
        EndpointUsage(method, path, UsageTotals(*by_endpoint[endpoint_id]))
        for endpoint_id, method, path in endpoint_names(connection, used)
    ]
    return tuple(sorted(endpoints, key=lambda each: (-each.usage.credits, each.method, each.path)))
