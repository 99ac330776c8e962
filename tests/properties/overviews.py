"""What an overview has to say, found by looking at every counter and at every instant."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.properties.answers import (
    GrantName,
    Names,
    alert_row,
    balance_row,
    limit_row,
    never_is_none,
    recurring_row,
)
from tests.support.model.account import QUARTER_US, Endpoint, Row
from tests.support.model.limits import window_of
from tollkeeper.core.answers.views import Overview
from tollkeeper.core.commands import GetOverview, Granularity
from tollkeeper.core.usage import UsageTotals


def only_named_in(names: Row, row: Row) -> Row:
    return {name: row[name] for name in names}


def expected_overview(account: Row) -> Row:
    """Return what the overview of all time has to say of an account of the model."""
    by_endpoint: dict[tuple[str, str], list[Row]] = {}
    for (_, method, path), row in account["usage"].items():
        by_endpoint.setdefault((method, path), []).append(row)
    open_grants = [grant for grant in account["grants"] if grant["remaining"] or grant["held"]]
    return {
        "account_id": account["account_id"],
        "balance": account["balance"],
        "lifetime_credits": account["lifetime_credits"],
        "total": totals_of(account["usage"].values()),
        "endpoints": {name: totals_of(rows) for name, rows in by_endpoint.items()},
        "grants": open_grants,
        "limits": account["limit_status"],
        "recurring": sorted(
            (each for each in account["recurring"] if each["next_us"] is not None),
            key=lambda each: (each["next_us"], each["number"]),
        ),
        "alerts": account["alert_status"],
    }


def overview_row(overview: Overview, names: Names) -> Row:
    return {
        "account_id": overview.account_id,
        "balance": balance_row(overview.balance),
        "lifetime_credits": overview.lifetime_credits,
        "total": overview.total,
        "endpoints": {(each.method, each.path): each.usage for each in overview.endpoints},
        "grants": [
            {
                "id": names.grants.ours(GrantName(overview.account_id, grant.grant_id)),
                "credits": grant.credits,
                "priority": grant.priority,
                "expires_us": never_is_none(grant.expires_us),
                "create_us": grant.created_us,
                "note": grant.note,
                "remaining": grant.remaining,
                "held": grant.held,
                "consumed": grant.consumed,
                "expired": grant.expired,
                "voided": grant.voided,
                "void": grant.void,
            }
            for grant in overview.grants
        ],
        "limits": [
            limit_row(limit)
            | {
                "used": window.used,
                "held": window.held,
                "over": window.over,
                "end": window.end_us,
            }
            for limit, window in overview.limits
        ],
        "recurring": list(map(recurring_row, overview.recurring)),
        "alerts": [
            alert_row(each.rule)
            | {
                "value": each.value,
                "base": each.base,
                "begin": each.window_start_us,
                "end": each.window_end_us,
                "met": each.fired,
            }
            for each in overview.alerts
        ],
    }


def totals_of(rows: Iterable[Row]) -> UsageTotals:
    """Add counters of the model up."""
    total = dict.fromkeys(UsageTotals._fields, 0)
    for row in rows:
        for name in ("requests", "credits", "expired", "refunded_credits", "free"):
            total[name] += row[name]
        for what in ("released", "denied"):
            for why, requests in row[what].items():
                total[f"{what}_{why.lower()}"] += requests
    return UsageTotals(**total)


def check_sums(overview: Overview) -> None:
    """Assert that total = the sum of the endpoints = the sum of the series."""
    for parts in (
        [each.usage for each in overview.endpoints],
        [each.usage for each in overview.series],
    ):
        sums = [sum(column) for column in zip(*parts, strict=True)]
        assert UsageTotals(*sums) == overview.total


def check_buckets(overview: Overview, query: GetOverview, usage: dict[Endpoint, Row]) -> None:
    """Assert that the buckets are those of the calendar, and that each counts what lies in it."""
    assert query.start_us is not None
    assert query.end_us is not None
    begin_us, _ = window_of("HOUR", query.time_zone, query.start_us)
    _, after_us = window_of("HOUR", query.time_zone, query.end_us - 1)
    assert (overview.start_us, overview.end_us) == (begin_us, after_us)
    starts = {begin_us} | {
        at_us
        for at_us in range(begin_us + QUARTER_US, after_us, QUARTER_US)
        if is_beginning(at_us, query)
    }
    found = [bucket.start_us for bucket in overview.series]
    assert found == sorted(starts)
    ends = itertools.pairwise([*found, after_us])
    for (begin, end), bucket in zip(ends, overview.series, strict=True):
        inside = [row for (at_us, *_), row in usage.items() if begin <= at_us < end]
        assert bucket.usage == totals_of(inside)


def is_beginning(at_us: int, query: GetOverview) -> bool:
    """Whether an hour, day or month begins here, by the clocks of the zone; they are not changed at midnight."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    local = local.astimezone(ZoneInfo(query.time_zone))
    if (local.minute, local.second, local.microsecond) != (0, 0, 0):
        return False
    if query.granularity is Granularity.HOUR:
        return True
    return local.hour == 0 and (local.day == 1 or query.granularity is Granularity.DAY)
