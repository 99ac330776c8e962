"""Lists accounts by what they consumed in a period, from the counters alone.

Each account's counters of the period are read by their key, whole days as days, so the cost follows
the accounts and the length of the period, not the requests, and no index is kept for it. A hold
past its deadline counts as expired, as in the account's overview.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    SmallInteger,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from tollkeeper.core.answers.buckets import Period, period_of_consumption
from tollkeeper.core.answers.views import AccountConsumption, ConsumptionPage
from tollkeeper.core.commands import ConsumptionCursor
from tollkeeper.core.usage import UsageKind, UsageTotals
from tollkeeper.storage.read.accounts import begins_with
from tollkeeper.storage.read.usage import Strip, of_account, strips_of
from tollkeeper.storage.read.usage_sums import COUNTED
from tollkeeper.storage.schema.tables import account, hold

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select, Subquery

    from tollkeeper.core.commands import ListConsumption


def load_consumption(
    connection: Connection, query: ListConsumption, now_us: int
) -> ConsumptionPage:
    """Return a page of accounts. Raises Refused for a bad period or a bad zone."""
    period = period_of_consumption(query, now_us=now_us)
    totals = _totals(period, query.prefix, now_us)
    rows = connection.execute(
        select(totals)
        .where(or_(*(totals.c[name] != 0 for name in UsageTotals._fields)), *_after(totals, query))
        .order_by(totals.c.credits.desc(), totals.c.account_id)
        .limit(query.page_size + 1)
    ).all()
    accounts = tuple(
        AccountConsumption(row[0], UsageTotals(*row[1:])) for row in rows[: query.page_size]
    )
    place = None
    if len(rows) > len(accounts):
        last = accounts[-1]
        place = ConsumptionCursor(
            period.start_us, period.end_us, last.usage.credits, last.account_id
        )
    return ConsumptionPage(now_us, period.start_us, period.end_us, accounts, place)


def _totals(period: Period, prefix: str, now_us: int) -> Subquery:
    """Select each account's id and its totals, in the order of UsageTotals."""
    among = begins_with(prefix) if prefix else account.c.account_id > ""
    parts = [_counters(strip, among) for strip in strips_of(period)]
    rows = union_all(*parts, _overdue(period, among, now_us)).subquery()
    sums = {
        field: cast(func.sum(case((rows.c.kind == kind, rows.c[what]), else_=0)), BigInteger)
        for kind, counted in COUNTED.items()
        for field, what in counted
    }
    return (
        select(rows.c.account_id, *(sums[field].label(field) for field in UsageTotals._fields))
        .group_by(rows.c.account_id)
        .subquery()
    )


def _counters(strip: Strip, among: ColumnElement[bool]) -> Select[str, int, int, int]:
    table = strip.table
    requests, credits = strip.counts
    return (
        select(
            account.c.account_id,
            table.c.kind,
            requests.label("requests"),
            credits.label("credits"),
        )
        .join_from(account, table, of_account(table))
        .where(among, *strip.inside)
    )


def _overdue(period: Period, among: ColumnElement[bool], now_us: int) -> Select[str, int, int, int]:
    """Select the holds past their deadline as if they had been counted. There are as many as are open."""
    return (
        select(
            account.c.account_id,
            literal(int(UsageKind.EXPIRED), SmallInteger).label("kind"),
            literal(1, BigInteger).label("requests"),
            literal(0, BigInteger).label("credits"),
        )
        .join_from(
            hold, account, (account.c.shard == hold.c.shard) & (account.c.key == hold.c.account_key)
        )
        .where(
            among,
            hold.c.expires_us <= now_us,
            hold.c.expires_us >= period.start_us,
            hold.c.expires_us < period.end_us,
        )
    )


def _after(totals: Subquery, query: ListConsumption) -> list[ColumnElement[bool]]:
    """Return the condition that an account comes after the last of the page before."""
    if query.after is None:
        return []
    credits, account_id = query.after.credits, query.after.account_id
    same = and_(totals.c.credits == credits, totals.c.account_id > account_id)
    return [or_(totals.c.credits < credits, same)]
