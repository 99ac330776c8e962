"""Builds ledgers row by row, without an engine: the core decides, and the rows go to the tables.

A ledger lives in memory until it is saved, at moments that the test chooses.
"""

from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Table, event, insert, update

from tollkeeper.core.account import Account, AccountState, do_what_is_due, shard_of, shard_of_id
from tollkeeper.core.administer import (
    AdminRecord,
    create_account,
    digest_of,
    grant_credits,
    record_of,
    update_account,
    void_grant,
)
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.alerts.rules import AlertRule, followed
from tollkeeper.core.authorize import authorize
from tollkeeper.core.change import Change, Denied
from tollkeeper.core.commands import (
    Authorize,
    CreateAccount,
    Debit,
    GrantCredits,
    PublishPrices,
    Refund,
    UpdateAccount,
    VoidGrant,
)
from tollkeeper.core.grants import Grant
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.operators.create_recurring import (
    create_recurring_grant,
    end_recurring_grant,
    what_was_made,
)
from tollkeeper.core.operators.debit import debit
from tollkeeper.core.operators.refund import refund
from tollkeeper.core.operators.replace_recurring import (
    Replaced,
    replace_recurring_grant,
    what_was_replaced,
)
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.assignments import present
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price, PriceBook, PriceList, Unlisted
from tollkeeper.core.recurring.commands import (
    CreateRecurringGrant,
    EndRecurringGrant,
    ReplaceRecurringGrant,
)
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.reservation import How, Reservation, ReservationName, ReservationState
from tollkeeper.core.retention import move_out
from tollkeeper.core.settle import end_overdue, settle
from tollkeeper.core.usage import HOUR_US, QUARTER_US, QUARTERS, UsageKind
from tollkeeper.engine.ids import least_id
from tollkeeper.storage.read.events import event_row
from tollkeeper.storage.read.prices import effective_columns
from tollkeeper.storage.rows import written
from tollkeeper.storage.rows.limits import window_rows
from tollkeeper.storage.schema import tables

SECOND_US = 1_000_000
DAY_US = 24 * HOUR_US
NEW_YEAR_US = 1_767_225_600_000_000
"""2026-01-01T00:00Z, when every ledger here begins."""

LEADS = Price("GET", "/v1/leads", 10, endpoint_id=2)
TRACK = Price("POST", "/v1/track", 75, endpoint_id=3)
DAILY = Limit(0, "daily", LimitUnit.CREDITS, LimitWindow.DAY, 9_999, "", "", "UTC", enforce=True)
SHADOW = Limit(
    0, "shadow", LimitUnit.REQUESTS, LimitWindow.HOUR, 1, "GET", "/v1/leads", "UTC", enforce=False
)
LOW = AlertRule(0, "low", AlertSubject.REMAINING, 60, False, None, "", "")
HALF = AlertRule(0, "half", AlertSubject.CONSUMED, 50, True, LimitWindow.DAY, "UTC", "")
CAP = AlertRule(0, "cap", AlertSubject.LIMIT_USE, 10, False, None, "", "daily")


@dataclass
class LedgerBuilder:
    """A ledger in the making. `now_us` is its clock, for the test to move."""

    now_us: int = NEW_YEAR_US
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    reservations: dict[int, Reservation] = field(default_factory=dict[int, Reservation])
    entries: list[written.Row] = field(default_factory=list[written.Row])
    usage: dict[tuple[int, int, int, int], tuple[int, int]] = field(
        default_factory=dict[tuple[int, int, int, int], tuple[int, int]]
    )
    windows: dict[tuple[int, int, int], tuple[int, int, int]] = field(
        default_factory=dict[tuple[int, int, int], tuple[int, int, int]]
    )
    moved_out: dict[tuple[int, int, int, int], int] = field(
        default_factory=dict[tuple[int, int, int, int], int]
    )
    windows_moved_out: dict[tuple[int, int, int], tuple[int, int]] = field(
        default_factory=dict[tuple[int, int, int], tuple[int, int]]
    )
    events: list[written.Row] = field(default_factory=list[written.Row])
    records: list[written.Row] = field(default_factory=list[written.Row])
    endpoints: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    lists: list[PriceList] = field(default_factory=list[PriceList])
    published: list[int] = field(default_factory=list[int])
    numbers: int = 0
    tick_us: int = 0

    def publish(
        self,
        *prices: Price,
        effective_us: int | None = None,
        unlisted: Unlisted = Unlisted.FREE,
        name: str = "",
    ) -> PriceList:
        """Publish a list; LEADS and TRACK where none are named."""
        for price in prices or (LEADS, TRACK):
            self.endpoints[price.method, price.path] = price.endpoint_id
        version = len(self.lists) + 1
        self.lists.append(
            PriceList(
                version=version,
                effective_us=self.now_us if effective_us is None else effective_us,
                prices=prices or (LEADS, TRACK),
                unlisted=unlisted,
                note=f"list {version}",
                name=name,
            )
        )
        self.published.append(self.now_us)
        command = PublishPrices(
            self.request_id(),
            self.lists[-1].prices,
            effective_us=effective_us,
            unlisted=unlisted,
            note=self.lists[-1].note,
            name=name,
        )
        self._record(record_of(command, version=version))
        return self.lists[-1]

    def account(self, account_id: str = "acme", *, credit_limit: int = 0, credits: int = 0) -> str:
        """Open an account, with one grant where it is to have credits."""
        command = CreateAccount(account_id, self.request_id(), f"{account_id}!", credit_limit)
        key = self.number() << 6 | shard_of_id(account_id)
        self.accounts[account_id] = create_account(
            None, command, book=self.book(), now_us=self.now_us, new_key=key
        )
        self._record(record_of(command))
        if credits:
            self.grant(account_id, credits)
        return account_id

    def grant(
        self, account_id: str, credits: int, *, expires_us: int | None = None, priority: int = 0
    ) -> int:
        """Give credits; return the grant's id."""
        command = GrantCredits(
            account_id, self.request_id(), credits, priority, expires_us, "a gift"
        )
        grant_id = self.number()
        account = self.accounts[account_id]
        grant, change = grant_credits(account, command, now_us=self.now_us, new_id=grant_id)
        self._apply(change)
        self._record(record_of(command, **_figures(grant)))
        return grant_id

    def recurring(self, account_id: str, credits: int, **more: Any) -> int:
        """Give credits every day, unless `more` says another period; return the number."""
        given: dict[str, Any] = {"period": RecurringPeriod.DAY, "note": "a plan"} | more
        command = CreateRecurringGrant(account_id, self.request_id(), credits, **given)
        new, change = create_recurring_grant(self.accounts[account_id], command, now_us=self.now_us)
        self._apply(change)
        self._record(record_of(command, **what_was_made(new)))
        return new.number

    def end_recurring(self, account_id: str, number: int) -> None:
        """Let no period of a recurring grant begin any more."""
        command = EndRecurringGrant(account_id, number, self.request_id())
        ended, change = end_recurring_grant(self.accounts[account_id], command, now_us=self.now_us)
        self._apply(change)
        self._record(record_of(command, end_us=ended.end_us))

    def replace_recurring(
        self, account_id: str, number: int, credits: int, **more: Any
    ) -> Replaced:
        """Replace a recurring grant by another: now and on the same calendar, unless `more` says otherwise."""
        given: dict[str, Any] = {"note": "another plan"} | more
        command = ReplaceRecurringGrant(account_id, number, self.request_id(), credits, **given)
        replaced, change = replace_recurring_grant(
            self.accounts[account_id], command, now_us=self.now_us
        )
        self._apply(change)
        self._record(record_of(command, **what_was_replaced(replaced)))
        return replaced

    def do_due(self, account_id: str) -> None:
        """Do what is due on an account, as the sweeper does."""
        self._apply(Change(*do_what_is_due(self.accounts[account_id], self.now_us)))

    def update(self, account_id: str, **changes: Any) -> None:
        """Change an account, `tick_us` apart from what is before and after: calls of one moment have no order."""
        self.now_us += self.tick_us
        command = UpdateAccount(account_id, self.request_id(), **changes)
        account = self.accounts[account_id]
        book = self.book()
        self._apply(
            update_account(account, command, book=book, now_us=self.now_us, new_ids=self.ids())
        )
        self._record(record_of(command))
        self.now_us += self.tick_us

    def book(self) -> PriceBook:
        """Return all that was published."""
        return PriceBook(self.lists, version=len(self.lists))

    def hold(self, account_id: str, price: Price = LEADS, *, hold_s: int = 60) -> Reservation:
        """Hold the price of one request."""
        if not self.lists:
            self.publish()
        request_id = self.request_id()
        command = Authorize(
            account_id, price.method, parse(price.path), request_id, caller="gateway-1"
        )
        name = present(self.accounts[account_id].pricing, self.now_us).name
        answer, change = authorize(
            self.accounts[account_id],
            command,
            [each for each in self.lists if each.name == name][-1],
            now_us=self.now_us,
            hold_us=hold_s * SECOND_US,
            new_id=self.timed_number(),
            request_digest=digest_of(request_id),
        )
        if isinstance(answer, Denied) or change is None or change.reservation is None:
            raise AssertionError(answer)
        return self._apply(change)

    def commit(
        self,
        held: Reservation,
        outcome: Outcome = Outcome.VALID_RESPONSE,
        *,
        http_status: int = 0,
    ) -> Reservation:
        """Settle a hold by an outcome, late or not."""
        _, change = settle(
            self._account_of(held),
            self.reservations[held.reservation_id],
            outcome,
            field="outcome",
            now_us=self.now_us,
            late_window_us=DAY_US,
            how=How(http_status, "gateway-2"),
        )
        assert change is not None
        return self._apply(change)

    def charge(self, account_id: str, price: Price = LEADS, *, times: int = 1) -> None:
        """Hold and commit."""
        for _ in range(times):
            self.commit(self.hold(account_id, price))

    def refund(self, charged: Reservation, credits: int, **changes: Any) -> Reservation:
        """Give back a part of a charge."""
        name = ReservationName(charged.account_key, charged.reservation_id)
        command = Refund(name, self.request_id(), credits, "sorry", **changes)
        answer, change = refund(
            self._account_of(charged),
            self.reservations[charged.reservation_id],
            command,
            now_us=self.now_us,
            new_id=self.number(),
        )
        self._record(record_of(command, credits=answer.credits, grant_id=answer.grant_id))
        return self._apply(change)

    def void(self, account_id: str, grant_id: int) -> None:
        """Take back a grant."""
        command = VoidGrant(account_id, grant_id, self.request_id(), "a mistake")
        grant, change = void_grant(self.accounts[account_id], command, now_us=self.now_us)
        self._apply(change)
        self._record(record_of(command, **_figures(grant)))

    def debit(self, account_id: str, credits: int) -> None:
        """Take credits back that may have been spent."""
        command = Debit(account_id, self.request_id(), credits, "a charge-back")
        self._apply(debit(self.accounts[account_id], command, now_us=self.now_us))
        self._record(record_of(command, credits=credits, created_us=self.now_us))

    def release(self, held: Reservation) -> Reservation:
        """Give a hold back."""
        return self.commit(held, Outcome.CANCELLED)

    def move_out(self) -> int:
        """Move out everything whose retention time, a week, is over; return how many."""
        before = len(self.reservations)
        for each in [*self.reservations.values()]:
            moved = move_out(
                each, now_us=self.now_us, retention_us=7 * DAY_US, late_window_us=DAY_US
            )
            if moved is None:
                continue
            del self.reservations[each.reservation_id]
            key, endpoint_id, at_us, kind, requests, _ = moved.usage
            counter = (key, at_us // HOUR_US, endpoint_id, kind)
            self.moved_out[counter] = self.moved_out.get(counter, 0) + requests
            for window in moved.windows:
                name = (window.account_key, window.limit_id, window.start_us)
                used, over = self.windows_moved_out.get(name, (0, 0))
                self.windows_moved_out[name] = (used + window.used, over + window.over)
        return before - len(self.reservations)

    def expire(self, held: Reservation) -> Reservation:
        """End a hold at its deadline, as the sweeper does, and move the clock there."""
        self.now_us = max(self.now_us, held.expires_us)
        change = end_overdue(self._account_of(held), held, now_us=self.now_us)
        assert change is not None
        return self._apply(change)

    def deny(self, account_id: str, price: Price = LEADS, *, times: int = 1) -> None:
        """Count denials for want of credits."""
        kind = UsageKind.DENIED_INSUFFICIENT_CREDITS
        key = self.accounts[account_id].key
        self.count(key, self.now_us, price.endpoint_id, kind, times, 0)

    def save(self, connection: Connection, *, without: Container[str] = ()) -> None:
        """Write every row to empty tables; `without` are columns that an older schema does not have."""
        rows = {
            tables.account: [written.account_row(each) for each in self.accounts.values()],
            tables.credit_grant: [
                written.grant_row(account.key, grant)
                for account in self.accounts.values()
                for grant in account.grants
            ],
            tables.reservation: [*map(written.reservation_row, self.reservations.values())],
            tables.hold: [
                written.hold_row(each)
                for each in self.reservations.values()
                if each.state is ReservationState.HELD
            ],
            tables.entry: self.entries,
            tables.usage_hour: self._hours(),
            tables.usage_day: self._days(),
            tables.limit_window: [
                (*row, *self.windows_moved_out.get(row[1:4], (0, 0)))
                for row in window_rows(self.windows)
            ],
            tables.admin_request: self.records,
            tables.event: self.events,
            tables.endpoint: [(endpoint_id, *name) for name, endpoint_id in self.endpoints.items()],
            tables.price_list: [
                (
                    each.version,
                    effective_columns(each)["effective_us"],
                    each.unlisted,
                    each.note,
                    published_us,
                    each.name,
                    effective_columns(each)["named_effective_us"],
                )
                for each, published_us in zip(self.lists, self.published, strict=True)
            ],
            tables.price: [row for each in self.lists for row in _price_rows(each)],
        }
        for table, values in rows.items():
            insert_rows(connection, table, values, without)
        connection.execute(update(tables.event_position).values(last=len(self.events)))

    def request_id(self) -> str:
        """Return a key that has not been used."""
        return f"r-{self.number()}"

    def number(self) -> int:
        """Return an id that has not been used."""
        self.numbers += 1
        return self.numbers

    def timed_number(self) -> int:
        """Return an id that has not been used, with the time in it, as a server makes it."""
        number = self.number()
        return number if number >= least_id(NEW_YEAR_US) else least_id(self.now_us) + number

    def ids(self) -> Iterator[int]:
        """Yield ids that have not been used."""
        while True:
            yield self.number()

    def count(
        self, key: int, at_us: int, endpoint_id: int, kind: int, requests: int, credits: int
    ) -> None:
        """Add to a counter."""
        counter = (key, at_us // QUARTER_US, endpoint_id, kind)
        before = self.usage.get(counter, (0, 0))
        self.usage[counter] = (before[0] + requests, before[1] + credits)

    def _hours(self) -> list[tuple[int, ...]]:
        """Return the rows of the hourly counters."""
        hours: dict[tuple[int, int, int, int], list[int]] = {}
        for (key, at, endpoint_id, kind), counts in self.usage.items():
            hour = hours.setdefault((key, at // QUARTERS, endpoint_id, kind), [0] * 2 * QUARTERS)
            for place, count in enumerate(counts):
                hour[place] += count
                if at % QUARTERS:
                    hour[2 * (at % QUARTERS) + place] += count
        return [
            (shard_of(hour[0]), *hour, *counts[:2], self.moved_out.get(hour, 0), *counts[2:])
            for hour, counts in hours.items()
        ]

    def _account_of(self, reservation: Reservation) -> Account:
        accounts = self.accounts.values()
        return next(each for each in accounts if each.key == reservation.account_key)

    def _apply(self, change: Change) -> Any:
        account = change.account
        alerts, met = followed(
            self.accounts[account.account_id],
            account,
            change.entries,
            now_us=self.now_us,
            new_ids=self.ids(),
        )
        self.accounts[account.account_id] = account._replace(alerts=alerts)
        self.events.extend((*event_row(each), len(self.events) + 1) for each in met)
        self.entries.extend(map(written.entry_row, change.entries))
        if change.reservation is not None:
            self.reservations[change.reservation.reservation_id] = change.reservation
        for usage in change.usage:
            key, endpoint_id, at_us, kind, requests, credits = usage
            self.count(key, at_us, endpoint_id, kind, requests, credits)
        for key, limit_id, start_us, *counts in change.windows:
            before = self.windows.get((key, limit_id, start_us), (0, 0, 0))
            used, held, over = (one + other for one, other in zip(before, counts, strict=True))
            self.windows[key, limit_id, start_us] = (used, held, over)
        return change.reservation

    def _record(self, record: AdminRecord) -> None:
        self.records.append(written.admin_row(record, self.now_us))

    def _days(self) -> list[written.Row]:
        days: dict[tuple[int, int, int, int], tuple[int, int]] = {}
        for (key, at, endpoint_id, kind), (requests, credits) in self.usage.items():
            day = (key, at // QUARTERS // 24, endpoint_id, kind)
            before = days.get(day, (0, 0))
            days[day] = (before[0] + requests, before[1] + credits)
        return [(shard_of(day[0]), *day, *counts) for day, counts in days.items()]


def busy_ledger(*, tick_us: int = 0) -> LedgerBuilder:
    """Build a ledger in which `acme` has lived through everything that there is, and more is held."""
    ledger = LedgerBuilder(tick_us=tick_us)
    ledger.publish(effective_us=NEW_YEAR_US - 9 * DAY_US)
    _add_planned(ledger)
    ledger.account("bystander", credits=100)
    ledger.update("bystander", limits=(DAILY,), alerts=(CAP,))
    ledger.charge("bystander")
    ledger.account("acme", credit_limit=500, credits=25)
    ledger.grant("acme", 40, expires_us=ledger.now_us + 3_000 * SECOND_US, priority=1)
    ledger.grant("acme", 60, expires_us=ledger.now_us + 9 * DAY_US, priority=2)
    ledger.grant("acme", 7, expires_us=ledger.now_us + 3_000 * SECOND_US, priority=9)
    ledger.update("acme", limits=(DAILY, SHADOW), alerts=(LOW, HALF, CAP))
    live_through_everything(ledger)
    return ledger


def aged_ledger(*, tick_us: int = 0) -> LedgerBuilder:
    """Build a busy ledger that was left alone for so long that its reservations were moved out, and busy again."""
    ledger = busy_ledger(tick_us=tick_us)
    ledger.update("acme", state=AccountState.ACTIVE)
    for each in [*ledger.reservations.values()]:
        if each.state is ReservationState.HELD:
            ledger.commit(each, Outcome.SERVER_ERROR)
    ledger.now_us += 9 * DAY_US
    assert ledger.move_out() > 0
    assert not ledger.reservations
    ledger.grant("acme", 25)
    ledger.grant("acme", 40, expires_us=ledger.now_us + 3_000 * SECOND_US, priority=1)
    ledger.grant("acme", 60, expires_us=ledger.now_us + 9 * DAY_US, priority=2)
    live_through_everything(ledger)
    return ledger


def live_through_everything(ledger: LedgerBuilder) -> None:
    """Have `acme` make every kind of reservation, and end them in every way."""
    ledger.charge("acme", times=2)
    ledger.publish(name="partner")
    ledger.update("acme", price_list="partner")
    ledger.commit(ledger.hold("acme", TRACK))  # three grants pay
    ledger.commit(ledger.hold("acme"), Outcome.CANCELLED)
    ledger.commit(ledger.hold("acme"), Outcome.SERVER_ERROR, http_status=503)
    ledger.expire(ledger.hold("acme", hold_s=1))
    late = ledger.hold("acme", TRACK, hold_s=1)  # a grant and the credit line
    ledger.expire(late)
    ledger.now_us += 2 * 3600 * SECOND_US  # the fourth grant expires
    ledger.commit(late)
    ledger.charge("acme", TRACK)
    ledger.deny("acme", times=3)
    ledger.grant("acme", 60)
    ledger.grant("acme", 200)
    charged = ledger.commit(ledger.hold("acme", TRACK), http_status=204)
    charged = ledger.refund(charged, 1)
    ledger.refund(charged, 2)
    ledger.refund(late, 3)
    ledger.void("acme", ledger.grant("acme", 11))
    ledger.hold("acme", TRACK, hold_s=3600)
    ledger.hold("acme", TRACK, hold_s=3600)
    ledger.update("acme", state=AccountState.BLOCKED)


def _add_planned(ledger: LedgerBuilder) -> None:
    """Add `planned`, which has had credits every day, some of which rolled over, and a plan that has ended."""
    now_us = ledger.now_us
    ledger.now_us = begun_us = now_us - 4 * DAY_US - HOUR_US
    ledger.account("planned")
    ledger.recurring("planned", 40, rollover_max=25)
    ledger.end_recurring("planned", ledger.recurring("planned", 5, priority=1))
    ledger.charge("planned")
    ledger.now_us = begun_us + DAY_US
    ledger.charge("planned", times=4)  # from what rolled over, and more
    ledger.now_us = begun_us + 4 * DAY_US
    ledger.charge("planned")
    ledger.now_us = now_us


def _figures(grant: Grant) -> dict[str, int]:
    """What the record of a call keeps of the grant that it was about."""
    return {
        "grant_id": grant.grant_id,
        "remaining": grant.remaining,
        "created_us": grant.created_us,
        "expires_us": grant.expires_us,
    }


def _price_rows(prices: PriceList) -> Iterable[written.Row]:
    for position, price in enumerate(prices.prices):
        charge_on = ",".join(price.charge_on) or None
        yield (
            prices.version,
            position,
            price.endpoint_id,
            price.credits,
            price.note,
            charge_on,
        )


@contextmanager
def statements_of(engine: Engine) -> Generator[list[tuple[str, Any]]]:
    """Collect the statements that a block runs, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def listen(*args: Any) -> None:
        seen.append((args[2], args[3]))

    event.listen(engine, "before_cursor_execute", listen)
    yield seen
    event.remove(engine, "before_cursor_execute", listen)


def write_ahead(engine: Engine) -> None:
    """Do what a lane does first with a SQLite file: let others read while it writes."""
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()
        connection.cursor().execute("PRAGMA journal_mode = wal")
        connection.close()


def said_by(prices: PriceList) -> dict[str, Any]:
    """What a list says, to be compared: all of it but how it is compiled."""
    return {name: value for name, value in vars(prices).items() if name != "_table"}


def insert_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[written.Row],
    without: Container[str] = (),
) -> None:
    """Insert rows in the order of the table's columns, but for some of them."""
    names = table.columns.keys()
    named = [
        {name: value for name, value in zip(names, row, strict=True) if name not in without}
        for row in rows
    ]
    if named:
        connection.execute(insert(table), named)
