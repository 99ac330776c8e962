"""Builds the overview of all accounts together from one snapshot: the sum of the accounts' overviews.

Total, endpoints and series are three sums of the same counters, so they add up to each other. A
hold past its deadline counts as expired, as in an account's overview.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from tollkeeper.core.answers.buckets import check_figures, period_of
from tollkeeper.core.answers.views import PlatformEndpoint, PlatformOverview, UsageBucket
from tollkeeper.core.commands import GetOverview
from tollkeeper.core.usage import QUARTER_US, UsageKind, UsageTotals
from tollkeeper.storage.read.usage import Counted, load_all_usage
from tollkeeper.storage.read.usage_sums import Totals, add_usage, endpoint_names, no_usage
from tollkeeper.storage.schema.tables import hold, reservation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from tollkeeper.core.answers.buckets import Period
    from tollkeeper.core.commands import GetPlatformOverview

Cells = dict[int, dict[int, Totals]]
"""Totals by endpoint id and bucket."""


def load_platform_overview(
    connection: Connection, query: GetPlatformOverview, now_us: int
) -> PlatformOverview:
    """Return the overview. Raises Refused for a bad period, a bad zone, or too many figures."""
    overview = GetOverview("", query.start_us, query.end_us, query.granularity, query.time_zone)
    period = period_of(overview, now_us=now_us)
    series = [no_usage() for _ in period.starts_us]
    by_endpoint: dict[int, Totals] = {}
    cells: Cells = {}
    total = no_usage()
    for each in (*load_all_usage(connection, period), *_overdue(connection, period, now_us)):
        add_usage(series[each.bucket], each)
        add_usage(by_endpoint.setdefault(each.endpoint_id, no_usage()), each)
        add_usage(total, each)
        if query.endpoint_series:
            buckets = cells.setdefault(each.endpoint_id, {})
            add_usage(buckets.setdefault(each.bucket, no_usage()), each)
    check_figures(sum(map(len, cells.values())))
    return PlatformOverview(
        as_of_us=now_us,
        start_us=period.start_us,
        end_us=period.end_us,
        total=UsageTotals(*total),
        endpoints=_endpoints(connection, by_endpoint, cells, period),
        series=tuple(
            UsageBucket(start_us, UsageTotals(*totals))
            for start_us, totals in zip(period.starts_us, series, strict=True)
        ),
    )


def _overdue(connection: Connection, period: Period, now_us: int) -> Iterable[Counted]:
    """Yield the holds past their deadline as if they had been counted. There are as many as are open."""
    quarter = (hold.c.expires_us // QUARTER_US).label("quarter")
    due = (
        select(quarter, reservation.c.endpoint_id)
        .join_from(
            hold,
            reservation,
            (reservation.c.shard == hold.c.shard)
            & (reservation.c.reservation_id == hold.c.reservation_id),
        )
        .where(
            hold.c.expires_us <= now_us,
            hold.c.expires_us >= period.start_us,
            hold.c.expires_us < period.end_us,
        )
        .subquery()
    )
    keys = (due.c.quarter, due.c.endpoint_id)
    for at, endpoint_id, holds in connection.execute(select(*keys, func.count()).group_by(*keys)):
        bucket = period.bucket_at(at * QUARTER_US)
        if bucket is not None:
            yield Counted(bucket, endpoint_id, UsageKind.EXPIRED, holds, 0)


def _endpoints(
    connection: Connection, by_endpoint: dict[int, Totals], cells: Cells, period: Period
) -> tuple[PlatformEndpoint, ...]:
    """Return every endpoint with any usage: most credits first, then by name."""
    used = sorted(endpoint_id for endpoint_id, totals in by_endpoint.items() if any(totals))
    endpoints = [
        PlatformEndpoint(
            method,
            path,
            UsageTotals(*by_endpoint[endpoint_id]),
            _series(cells.get(endpoint_id, {}), period),
        )
        for endpoint_id, method, path in endpoint_names(connection, used)
    ]
    return tuple(sorted(endpoints, key=lambda each: (-each.usage.credits, each.method, each.path)))


def _series(buckets: dict[int, Totals], period: Period) -> tuple[UsageBucket, ...]:
    return tuple(
        UsageBucket(period.starts_us[bucket], UsageTotals(*buckets[bucket]))
        for bucket in sorted(buckets)
        if any(buckets[bucket])
    )
