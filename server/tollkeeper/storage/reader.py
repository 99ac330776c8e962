"""Reads for people, each from one snapshot: accounts, prices, the journal, the overview, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.answers.views import AccountPage, AccountView
from tollkeeper.core.pricing.assignments import standing
from tollkeeper.core.recurring.recurring_grants import by_number
from tollkeeper.engine.ids import made_us
from tollkeeper.storage.connections.engines import dated_snapshot
from tollkeeper.storage.read.accounts import load_account, load_page
from tollkeeper.storage.read.consumption import load_consumption
from tollkeeper.storage.read.entries import (
    CHARGES_AT_ONCE,
    charge_among,
    first_entry_since,
    journal_of,
    load_entries,
)
from tollkeeper.storage.read.events import last_position, load_events
from tollkeeper.storage.read.explain import load_explanation
from tollkeeper.storage.read.overview import load_overview
from tollkeeper.storage.read.platform_overview import load_platform_overview
from tollkeeper.storage.read.prices import load_price_page
from tollkeeper.storage.verify.verify import find_broken

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from tollkeeper.core.account import Account
    from tollkeeper.core.answers.explanation import ExplainReservation, Explanation
    from tollkeeper.core.answers.views import (
        ConsumptionPage,
        EntryPage,
        EventPage,
        Finding,
        Overview,
        PlatformOverview,
        PricePage,
    )
    from tollkeeper.core.commands import (
        GetOverview,
        GetPlatformOverview,
        ListAccounts,
        ListConsumption,
        ListEntries,
        ListEvents,
        ListPrices,
    )
    from tollkeeper.core.reservation import ReservationName
    from tollkeeper.engine.ports import Clock


class SqlReader:
    """See `ports.Reader`. Safe for many threads: each read takes a connection of the pool."""

    def __init__(self, engine: Engine, *, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock

    def account(self, account_id: str) -> AccountView:
        """Return one account."""
        with self._snapshot() as (connection, now):
            return _view(load_account(connection, account_id, now).account, now)

    def accounts(self, query: ListAccounts) -> AccountPage:
        """Return a page of accounts."""
        with self._snapshot() as (connection, now):
            page = load_page(connection, query, now)
        views = tuple(_view(each.account, now) for each in page[: query.page_size])
        return AccountPage(views, views[-1].account_id if len(page) > len(views) else "")

    def prices(self, query: ListPrices) -> PricePage:
        """Return a page of price lists."""
        with self._snapshot() as (connection, _):
            return load_price_page(connection, query)

    def entries(self, query: ListEntries) -> EntryPage:
        """Return a page of an account's journal as it is written: what is due has no entry yet, and is told of."""
        with self._snapshot() as (connection, now):
            return load_entries(connection, query, now)

    def charge_sequence(self, reservation: ReservationName) -> int | None:
        """Return where the journal has a charge; each slice has a snapshot of its own: entries never change."""
        since_us = made_us(reservation.reservation_id)
        with self._snapshot() as (connection, _):
            journal = journal_of(connection, reservation.account_key)
            if journal is None:
                return None
            after = first_entry_since(connection, journal, since_us) - 1
        while after < journal.last:
            with self._snapshot() as (connection, _):
                charge = charge_among(
                    connection,
                    journal,
                    reservation.reservation_id,
                    after=after,
                    since_us=since_us,
                )
            if charge is not None:
                return charge
            after += CHARGES_AT_ONCE
        return None

    def events(self, query: ListEvents) -> EventPage:
        """Return a page of events that have a position."""
        with self._snapshot() as (connection, _):
            return load_events(connection, query)

    def last_position(self) -> int:
        """Return the position of the newest event."""
        with self._snapshot() as (connection, _):
            return last_position(connection)

    def explanation(self, query: ExplainReservation) -> Explanation:
        """Return the whole life of one reservation."""
        with self._snapshot() as (connection, now):
            return load_explanation(connection, query, now)

    def overview(self, query: GetOverview) -> Overview:
        """Return the Credit Cost Overview."""
        with self._snapshot() as (connection, now):
            return load_overview(connection, query, now)

    def consumption(self, query: ListConsumption) -> ConsumptionPage:
        """Return a page of accounts by what they consumed."""
        with self._snapshot() as (connection, now):
            return load_consumption(connection, query, now)

    def platform_overview(self, query: GetPlatformOverview) -> PlatformOverview:
        """Return what all accounts consumed together."""
        with self._snapshot() as (connection, now):
            return load_platform_overview(connection, query, now)

    def verify(self, *, overdue_tolerance_us: int) -> Generator[Finding]:
        """Check every invariant of rules 10 in one snapshot, yielding what breaks one."""
        with self._snapshot() as (connection, now):
            yield from find_broken(connection, overdue_before_us=now - overdue_tolerance_us)

    def _snapshot(self) -> AbstractContextManager[tuple[Connection, int]]:
        return dated_snapshot(self._engine, self._clock)


def _view(account: Account, now_us: int) -> AccountView:
    return AccountView(
        account_id=account.account_id,
        display_name=account.display_name,
        state=account.state,
        credit_limit=account.credit_limit,
        created_us=account.created_us,
        balance=account.balance,
        limits=tuple(state.limit for state in account.limits),
        pricing=standing(account.pricing, now_us),
        recurring=by_number(account.recurring),
        alerts=tuple(state.rule for state in account.alerts),
    )
