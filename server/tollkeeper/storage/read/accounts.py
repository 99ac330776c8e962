"""Reads accounts as if everything due on them had been done: overdue grants and holds are ended.

The core does it, on rows that stay as they are. So a figure shown does not depend on when a sweeper
last came by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, select

from tollkeeper.core.account import Account, account_not_found, do_what_is_due
from tollkeeper.core.settle import end_overdue
from tollkeeper.storage.rows.hot import account_of, grants_of, reservation_of
from tollkeeper.storage.schema.tables import account, credit_grant, hold, reservation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from sqlalchemy import Connection, Row

    from tollkeeper.core.commands import ListAccounts
    from tollkeeper.core.limits import WindowCount
    from tollkeeper.core.reservation import Reservation
    from tollkeeper.core.usage import Usage

_AFTER_ANY_ID = "\x7f"
"""Greater than every character of an id, so that `prefix + this` ends the ids with that prefix."""


class Settled(NamedTuple):
    """An account with everything due done, and what that would add to its counters and windows."""

    account: Account
    usage: tuple[Usage, ...]
    windows: tuple[WindowCount, ...] = ()


def load_account(connection: Connection, account_id: str, now_us: int) -> Settled:
    """Return one account. Raises Refused where there is none."""
    accounts = _load(connection, account.c.account_id == account_id, now_us)
    if not accounts:
        raise account_not_found(account_id)
    return accounts[0]


def load_page(connection: Connection, query: ListAccounts, now_us: int) -> list[Settled]:
    """Return accounts by id, one more than the page asks for where there are more."""
    condition = account.c.account_id > query.after
    if query.prefix:
        condition &= begins_with(query.prefix)
    return _load(connection, condition, now_us, limit=query.page_size + 1)


def begins_with(prefix: str) -> ColumnElement[bool]:
    """Return the condition that an id has a prefix."""
    # A range and not LIKE: % and _ are characters of an id, and a range is read from the index.
    condition = account.c.account_id >= prefix
    return condition & (account.c.account_id < prefix + _AFTER_ANY_ID)


def _load(
    connection: Connection, condition: ColumnElement[bool], now_us: int, *, limit: int | None = None
) -> list[Settled]:
    """Return the accounts that meet a condition, in the order of their ids; three statements."""
    rows = connection.execute(
        select(account).where(condition).order_by(account.c.account_id).limit(limit)
    ).all()
    if not rows:
        return []
    # Nothing lies between the first and the last that does not meet the condition.
    # (Two comparisons: PostgreSQL does not take BETWEEN x COLLATE "C" AND y.)
    first, last = rows[0].account_id, rows[-1].account_id
    among = (account.c.account_id >= first) & (account.c.account_id <= last)
    shards = sorted({row.shard for row in rows})
    grants = _open_grants(connection, among, shards)
    overdue = _overdue(connection, among, shards, now_us)
    return [
        _settled(
            account_of(row, grants_of(grants.get(row.key, ()))), overdue.get(row.key, ()), now_us
        )
        for row in rows
    ]


def _settled(before: Account, overdue: Iterable[Reservation], now_us: int) -> Settled:
    after, _ = do_what_is_due(before, now_us)
    usage: list[Usage] = []
    windows: list[WindowCount] = []
    for each in overdue:
        change = end_overdue(after, each, now_us=now_us)
        if change is not None:
            after = change.account
            usage.extend(change.usage)
            windows.extend(change.windows)
    return Settled(after, tuple(usage), tuple(windows))


def _open_grants(
    connection: Connection, among: ColumnElement[bool], shards: Sequence[int]
) -> dict[int, list[Row[Any]]]:
    rows = connection.execute(
        select(credit_grant)
        .join_from(
            account,
            credit_grant,
            (credit_grant.c.shard == account.c.shard)
            & (credit_grant.c.account_key == account.c.key),
        )
        .where(among, account.c.shard.in_(shards), credit_grant.c.open)
    )
    by_key: dict[int, list[Row[Any]]] = {}
    for row in rows:
        by_key.setdefault(row.account_key, []).append(row)
    return by_key


def _overdue(
    connection: Connection, among: ColumnElement[bool], shards: Sequence[int], now_us: int
) -> dict[int, list[Reservation]]:
    """Return the holds past their deadline by account key, each account's by deadline, then id."""
    rows = connection.execute(
        select(reservation)
        .join_from(
            hold,
            account,
            (account.c.shard == hold.c.shard) & (account.c.key == hold.c.account_key),
        )
        .join(
            reservation,
            (reservation.c.shard == hold.c.shard)
            & (reservation.c.reservation_id == hold.c.reservation_id),
        )
        # The shards are known, so that the overdue ones are found by the key of `hold`.
        .where(hold.c.shard.in_(shards), hold.c.expires_us <= now_us, among)
        .order_by(hold.c.expires_us, hold.c.reservation_id)
    )
    by_key: dict[int, list[Reservation]] = {}
    for row in rows:
        by_key.setdefault(row.account_key, []).append(reservation_of(row))
    return by_key
