"""Checks a ledger against every invariant of SEMANTICS 10, on a live one too: one snapshot, no lock.

Denials may be lost in a crash, so they are not held against anything. What a reservation left behind
is compared with the reservation, or, where it was moved out after its retention time, with the sums that
were kept of it.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import text

from tollkeeper.core.grants import CREDIT_LINE
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.views import Finding
from tollkeeper.storage import (
    verify_alerts,
    verify_explained,
    verify_money,
    verify_moved_out,
    verify_prices,
    verify_quarters,
    verify_recurring,
    verify_rows,
    verify_webhooks,
    verify_windows,
)
from tollkeeper.storage.engines import is_sqlite
from tollkeeper.storage.rows import slices_of
from tollkeeper.storage.verify_reading import account_id_of, read_rows, side_by_side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sqlalchemy import Connection, RowMapping

    from tollkeeper.core.grants import Slices

LAWS = (
    *verify_money.JOURNAL,
    *verify_money.HOLDS,
    *verify_money.GRANTS,
    *verify_money.CHARGES,
    *verify_money.REFUNDS,
    *verify_explained.EXPLAINED,
    *verify_prices.PRICES,
    *verify_moved_out.MOVED_OUT,
    *verify_rows.COUNTERS,
    *verify_quarters.QUARTERS,
    *verify_rows.REFERENCES,
    *verify_alerts.LAWS,
)

_GRANT, _RESERVATION = range(2)

_Problem = tuple[int, str]
"""The number of an invariant, and what is wrong."""


def find_broken(connection: Connection, *, overdue_before_us: int) -> Generator[Finding]:
    """Yield what is broken, as the snapshot of `connection` sees it."""
    if not is_sqlite(connection):
        # PostgreSQL plans a cursor for its first tenth; ours are read to the end.
        connection.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
    for law in LAWS:
        for row in read_rows(connection, law.broken, overdue_before_us=overdue_before_us):
            yield Finding(law.invariant, _name(row), law.message.format_map(row))
    yield from _below_zero(connection)
    yield from _slices(connection)
    yield from verify_windows.find_broken(connection)
    yield from verify_prices.find_broken(connection)
    yield from verify_alerts.find_broken(connection)
    yield from verify_webhooks.find_broken(connection)
    yield from verify_recurring.find_broken(connection)
    yield from _admin_records(connection)


def _name(row: RowMapping) -> str:
    """Return the id of the row's account, or its key where there is no such account."""
    return row["account_id"] or f"#{row['account_key']:x}"


def _below_zero(connection: Connection) -> Iterable[Finding]:
    """Invariant 3. The largest limit that an account ever had is in the records of admin calls."""
    short = {row["account_id"]: row for row in read_rows(connection, verify_money.SHORT_OF_CREDIT)}
    if not short:
        return
    limits: dict[str, int] = {name: row["credit_limit"] for name, row in short.items()}
    for record in read_rows(connection, verify_money.LIMITS_GIVEN):
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


def _slices(connection: Connection) -> Iterable[Finding]:
    """Invariant 5, and that what a grant has held is what reservations hold of it (4).

    Both tables are read side by side in the order of their accounts, one account at a time.
    """
    for (shard, key), each in side_by_side(
        connection, verify_money.GRANTS_HELD, verify_money.SLICED
    ):
        grants: dict[int, int] = {}
        reservations: list[RowMapping] = []
        for _, table, row in each:
            if table == _GRANT:
                grants[row["grant_id"]] = row["held"]
            else:
                reservations.append(row)
        problems = list(_problems(grants, reservations))
        if problems:
            account_id = account_id_of(connection, shard, key)
            yield from (Finding(number, account_id, message) for number, message in problems)


def _problems(grants: dict[int, int], reservations: list[RowMapping]) -> Iterable[_Problem]:
    """Yield what is wrong in one account; `grants` is what each has held."""
    found: Counter[int] = Counter()
    for row in reservations:
        name = f"reservation {row['reservation_id']:x}"
        try:
            slices = slices_of(row["grant_id"], row["credits"], row["slices"])
        except ValueError:
            yield 5, f"{name} has slices that cannot be read: {row['slices']}"
            continue
        yield from ((5, f"{name} {what}") for what in _wrong(slices, row["credits"], grants))
        if row["state"] == ReservationState.HELD:
            found.update(dict(slices))
    for grant_id, credits in grants.items():
        if credits != found[grant_id]:
            yield (
                4,
                f"grant {grant_id:x} has {credits} held, but reservations hold {found[grant_id]}",
            )


def _wrong(slices: Slices, credits: int, grants: dict[int, int]) -> Iterable[str]:
    paid = [part for _, part in slices]
    words = ",".join(f"{grant_id:x}:{part}" for grant_id, part in slices)
    if sum(paid) != credits or min(paid) < 0:
        yield f"costs {credits}, but its slices are {words}"
    if len(dict(slices)) < len(slices):
        yield f"has two slices of one grant: {words}"
    if len(slices) > 1:  # of a single one a law of its own tells
        for grant_id, _ in slices:
            if grant_id != CREDIT_LINE and grant_id not in grants:
                yield f"is paid by grant {grant_id:x}, which the account does not have"


def _admin_records(connection: Connection) -> Iterable[Finding]:
    """Invariant 10, for the calls of operators: each record can be read."""
    for row in read_rows(connection, verify_money.ADMIN_RECORDS):
        content, result = _object(row["content"]), _object(row["result"])
        if content is None or result is None:
            account_id = str((content or {}).get("account_id", ""))
            yield Finding(10, account_id, f"the record of a {row['method']} call cannot be read")


def _object(text_: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text_)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
