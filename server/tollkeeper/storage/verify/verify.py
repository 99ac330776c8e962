"""Checks a ledger against every invariant of rules 10, on a live one too: one snapshot, no lock.

Denials may be lost in a crash, so they are not held against anything. What a reservation left behind
is compared with the reservation, or, where it was moved out after its retention time, with the sums that
were kept of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from tollkeeper.core.answers.views import Finding
from tollkeeper.storage.connections.engines import is_sqlite
from tollkeeper.storage.verify import (
    alerts,
    entries,
    explained,
    money,
    moved_out,
    prices,
    quarters,
    recurring,
    requests,
    rows,
    slices,
    webhooks,
    windows,
)
from tollkeeper.storage.verify.calls import admin, published
from tollkeeper.storage.verify.reading import read_rows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sqlalchemy import Connection, RowMapping

    from tollkeeper.storage.verify.laws import Law

LAWS = (
    *money.JOURNAL,
    *money.HOLDS,
    *money.GRANTS,
    *money.CHARGES,
    *money.REFUNDS,
    *entries.ENTRIES,
    *entries.TIMES,
    *explained.EXPLAINED,
    *prices.PRICES,
    *moved_out.MOVED_OUT,
    *rows.COUNTERS,
    *quarters.QUARTERS,
    *rows.REFERENCES,
    *alerts.LAWS,
)


def find_broken(connection: Connection, *, overdue_before_us: int) -> Generator[Finding]:
    """Yield what is broken, as the snapshot of `connection` sees it."""
    if not is_sqlite(connection):
        # PostgreSQL plans a cursor for its first tenth; ours are read to the end.
        connection.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
    for law in LAWS:
        broken = _broken(connection, law, overdue_before_us)
        yield from _as_far_as_it_can_be_read(connection, law.invariant, broken)
    for part in (
        _below_zero,
        slices.find_broken,
        windows.find_broken,
        prices.find_broken,
        alerts.find_broken,
        webhooks.find_broken,
        recurring.find_broken,
        admin.find_broken,
        published.find_broken,
        requests.find_broken,
    ):
        yield from _as_far_as_it_can_be_read(connection, 10, part(connection))


def _broken(connection: Connection, law: Law, overdue_before_us: int) -> Iterable[Finding]:
    for row in read_rows(connection, law.broken, overdue_before_us=overdue_before_us):
        yield Finding(law.invariant, _name(row), law.message.format_map(row))


def _as_far_as_it_can_be_read(
    connection: Connection, invariant: int, findings: Iterable[Finding]
) -> Generator[Finding]:
    """Yield findings; a value that no server writes is one too, and does not keep the rest from being checked."""
    # PostgreSQL ends a transaction at its first error, unless the error comes after a savepoint.
    point = None if is_sqlite(connection) else connection.begin_nested()
    try:
        yield from findings
    except (DBAPIError, InvalidRequestError, *_NOT_OURS) as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        what = str(error.orig) if isinstance(error, DBAPIError) else f"{error}"
        yield Finding(invariant, "", f"a value in the ledger is none that a server writes: {what}")
    finally:
        if point is not None and point.is_active:
            point.rollback()


_NOT_OURS = (TypeError, ValueError, KeyError, AttributeError, OverflowError)


def _name(row: RowMapping) -> str:
    """Return the id of the row's account, or its key where there is no such account."""
    return row["account_id"] or f"#{row['account_key']:x}"


def _below_zero(connection: Connection) -> Iterable[Finding]:
    """Rules 10.3. The largest limit that an account ever had is in the records of admin calls."""
    short = {row["account_id"]: row for row in read_rows(connection, money.SHORT_OF_CREDIT)}
    if not short:
        return
    limits: dict[str, int] = {name: row["credit_limit"] for name, row in short.items()}
    for record in read_rows(connection, money.LIMITS_GIVEN):
        content = _object(record["content"]) or {}
        account_id, limit = content.get("account_id"), content.get("credit_limit")
        if account_id in limits and isinstance(limit, int):
            limits[account_id] = max(limits[account_id], limit)
    for account_id, row in short.items():
        if row["settled"] + limits[account_id] + row["late"] + row["debited"] < row["held"]:
            yield Finding(
                3,
                account_id,
                f"settled {row['settled']} with limit {row['credit_limit']} and {row['held']} held"
                f" is below zero; late charges of {row['late']}, debits of"
                f" {row['debited']} and limits of up to {limits[account_id]} do not account for it",
            )


def _object(text_: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text_)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
