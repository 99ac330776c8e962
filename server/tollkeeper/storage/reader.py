"""Reads for people, each from one snapshot: accounts, prices, the journal, the overview, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from tollkeeper.core.views import AccountPage, AccountView, EntryPage, EntryView
from tollkeeper.storage.account_rows import load_account, load_key, load_page
from tollkeeper.storage.engines import dated_snapshot
from tollkeeper.storage.overview import load_overview
from tollkeeper.storage.price_rows import load_price_page
from tollkeeper.storage.rows import entry_of
from tollkeeper.storage.tables import endpoint, entry
from tollkeeper.storage.verify import find_broken

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from tollkeeper.core.account import Account
    from tollkeeper.core.commands import GetOverview, ListAccounts, ListEntries, ListPrices
    from tollkeeper.core.views import Finding, Overview, PricePage
    from tollkeeper.engine.ports import Clock


class SqlReader:
    """See `ports.Reader`. Safe for many threads: each read takes a connection of the pool."""

    def __init__(self, engine: Engine, *, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock

    def account(self, account_id: str) -> AccountView:
        """Return one account."""
        with self._snapshot() as (connection, now):
            return _view(load_account(connection, account_id, now).account)

    def accounts(self, query: ListAccounts) -> AccountPage:
        """Return a page of accounts."""
        with self._snapshot() as (connection, now):
            found = load_page(connection, query, now)
        views = tuple(_view(account) for account, _ in found[: query.page_size])
        return AccountPage(views, views[-1].account_id if len(found) > len(views) else "")

    def prices(self, query: ListPrices) -> PricePage:
        """Return a page of price lists."""
        with self._snapshot() as (connection, _):
            return load_price_page(connection, page_size=query.page_size, before=query.before)

    def entries(self, query: ListEntries) -> EntryPage:
        """Return a page of an account's journal as it is written: what is due has no entry yet."""
        with self._snapshot() as (connection, _):
            shard, key = load_key(connection, query.account_id)
            conditions = [
                entry.c.shard == shard,
                entry.c.account_key == key,
                entry.c.sequence > query.after,
            ]
            if query.start_us is not None:
                conditions.append(entry.c.created_us >= query.start_us)
            if query.end_us is not None:
                conditions.append(entry.c.created_us < query.end_us)
            rows = connection.execute(
                select(entry, endpoint.c.method, endpoint.c.path)
                .outerjoin_from(entry, endpoint, endpoint.c.endpoint_id == entry.c.endpoint_id)
                .where(*conditions)
                .order_by(entry.c.sequence)
                .limit(query.page_size + 1)
            ).all()
        views = tuple(
            EntryView(entry_of(row), row.method or "", row.path or "")
            for row in rows[: query.page_size]
        )
        return EntryPage(views, views[-1].entry.sequence if len(rows) > len(views) else 0)

    def overview(self, query: GetOverview) -> Overview:
        """Return the Credit Cost Overview."""
        with self._snapshot() as (connection, now):
            return load_overview(connection, query, now)

    def verify(self, *, overdue_tolerance_us: int) -> Generator[Finding]:
        """Check every invariant of SEMANTICS 10 in one snapshot, yielding what breaks one."""
        with self._snapshot() as (connection, now):
            yield from find_broken(connection, overdue_before_us=now - overdue_tolerance_us)

    def _snapshot(self) -> AbstractContextManager[tuple[Connection, int]]:
        return dated_snapshot(self._engine, self._clock)


def _view(account: Account) -> AccountView:
    return AccountView(
        account_id=account.account_id,
        display_name=account.display_name,
        state=account.state,
        credit_limit=account.credit_limit,
        created_us=account.created_us,
        balance=account.balance,
    )
