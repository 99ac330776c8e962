"""What the engine needs of a store. Ours, not a plug-in interface: it changes with the engine.

A store raises only the errors below; no other exception of a database leaves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tollkeeper.core.account import Account
from tollkeeper.core.administer import AdminRecord
from tollkeeper.core.alerts.events import Crossing
from tollkeeper.core.grants import Grant
from tollkeeper.core.journal import Entry
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.usage import MovedOutCounts, MovedOutOfWindows, UsageCounts, WindowCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tollkeeper.core.answers.explanation import ExplainReservation, Explanation
    from tollkeeper.core.answers.views import (
        AccountPage,
        AccountView,
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
    from tollkeeper.core.pricing.price_lists import Price, PriceBook, PriceList
    from tollkeeper.engine.token_ports import TokenStore
    from tollkeeper.engine.webhook_ports import WebhookStore

Clock = Callable[[], int]
"""Returns the time in microseconds. Stores have their own; tests pass one in."""


class StoreError(Exception):
    """A fault of the store. The message is for the operator's log, never for a caller."""


class ConflictError(StoreError):
    """The transaction lost against another and changed nothing; it can be repeated at once."""


class LockedError(ConflictError):
    """Another session has locked what the transaction needs, and did not give it back in time."""


class UnavailableError(StoreError):
    """The store cannot be reached. The transaction may or may not have been committed; its keys tell."""


class SchemaError(StoreError):
    """The database has not the schema that this version needs."""


class RequestKey(NamedTuple):
    """The key of an Authorize: the account by its id, and the digest of the request_id."""

    account_id: str
    digest: bytes


@dataclass(slots=True)
class Needs:
    """What a batch wants read: accounts by id or by key, reservations by name or by request, admin records."""

    account_ids: set[str] = field(default_factory=set[str])
    account_keys: set[int] = field(default_factory=set[int])
    reservations: set[ReservationName] = field(default_factory=set[ReservationName])
    requests: set[RequestKey] = field(default_factory=set[RequestKey])
    admin_digests: set[bytes] = field(default_factory=set[bytes])
    all_grants_of_ids: set[str] = field(default_factory=set[str])
    """Accounts by id, or by key, whose grants are all wanted and not only the open ones."""
    all_grants_of_keys: set[int] = field(default_factory=set[int])
    charges: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """Charges by account key and sequence: those whose reservation was moved out."""
    locked: set[int] = field(default_factory=set[int])
    """Accounts by key that another session has locked, as far as is known: nothing is waited for on their account."""
    patient: bool = True
    """Whether the locks of the other accounts are waited for."""

    def all_grants_of(self, keys: Mapping[str, int]) -> list[int]:
        """Return the keys of the accounts whose grants are all wanted, in order; `keys` are those that exist."""
        of_ids = {keys[name] for name in self.all_grants_of_ids if name in keys}
        return sorted(of_ids | self.all_grants_of_keys)


ReservationKey = tuple[int, int]
"""Account key and reservation id: two lanes may give one id to reservations of two shards."""


class Charge(NamedTuple):
    """A charge as the journal has it, and what was refunded of it so far, in credits."""

    entry: Entry
    refunded: int


@dataclass(slots=True)
class Loaded:
    """What a batch has read, under the locks of its accounts. `now_us` is read after the locks."""

    now_us: int
    prices_version: int
    keys: dict[str, int]
    """Account key by account id, for the ids asked for that exist."""
    accounts: dict[int, Account]
    reservations: dict[ReservationKey, Reservation]
    requests: dict[tuple[int, bytes], int]
    """Reservation id by account key and request digest; the reservation is in `reservations`."""
    admin: dict[bytes, AdminRecord]
    charges: dict[ReservationKey, Charge] = field(default_factory=dict[ReservationKey, Charge])
    """By the reservation that was charged."""
    locked: set[int] = field(default_factory=set[int])
    """Accounts by key that are there and that another session has locked: they are not in `accounts`."""
    lock_wait_us: int = 0
    """From the beginning of the transaction until it had all locks."""


@dataclass(slots=True)
class Writes:
    """What a batch has changed: final rows, each named once, and the entries in order."""

    new_accounts: list[Account] = field(default_factory=list[Account])
    accounts: list[Account] = field(default_factory=list[Account])
    new_grants: list[tuple[int, Grant]] = field(default_factory=list[tuple[int, Grant]])
    """(account key, grant)"""
    grants: list[tuple[int, Grant]] = field(default_factory=list[tuple[int, Grant]])
    lapsed: list[tuple[int, Grant]] = field(default_factory=list[tuple[int, Grant]])
    """Those of `grants` that have expired or were voided, or of which something has."""
    new_reservations: list[Reservation] = field(default_factory=list[Reservation])
    """Rows to insert. One that was made and settled in the same batch is here in its end state only."""
    reservations: list[Reservation] = field(default_factory=list[Reservation])
    """Rows that were there when they were read, in their new state."""
    repaid: list[Reservation] = field(default_factory=list[Reservation])
    """Those of `reservations` that others pay for now, or of which something was refunded."""
    holds_ended: list[Reservation] = field(default_factory=list[Reservation])
    """Reservations whose row in `hold` goes, as they were read: they have ended, or have another deadline now."""
    extended: list[Reservation] = field(default_factory=list[Reservation])
    """Rows that were there when they were read and have another deadline now; those that have ended too are also
    in `reservations`."""
    entries: list[Entry] = field(default_factory=list[Entry])
    usage: UsageCounts = field(default_factory=UsageCounts)
    admin: list[AdminRecord] = field(default_factory=list[AdminRecord])
    detailed: list[Account] = field(default_factory=list[Account])
    """Those of `accounts` whose name, state or credit limit are others now."""
    limited: list[Account] = field(default_factory=list[Account])
    """Those of `accounts` whose limits are others now."""
    priced: list[Account] = field(default_factory=list[Account])
    """Those of `accounts` that are on other price lists now."""
    recurring: list[Account] = field(default_factory=list[Account])
    """Those of `accounts` whose recurring grants are others now, or have come to another period."""
    windows: WindowCounts = field(default_factory=WindowCounts)
    ruled: list[Account] = field(default_factory=list[Account])
    """Those of `accounts` whose alert rules are others now."""
    alerted: list[Account] = field(default_factory=list[Account])
    """Those of `accounts` whose alert rules are the same, and no longer as far as they were."""
    events: list[Crossing] = field(default_factory=list[Crossing])
    moved_out: list[Reservation] = field(default_factory=list[Reservation])
    """Rows to delete; nothing else of the batch is about them, nor were their accounts locked when they were read.

    Raises ConflictError where one has ended otherwise meanwhile, or is gone.
    """
    usage_moved_out: MovedOutCounts = field(default_factory=MovedOutCounts)
    windows_moved_out: MovedOutOfWindows = field(default_factory=MovedOutOfWindows)

    def __bool__(self) -> bool:
        """Say whether there is anything to write."""
        return bool(
            self.new_accounts
            or self.accounts
            or self.new_reservations
            or self.reservations
            or self.entries
            or self.usage
            or self.admin
            or self.moved_out
        )

    @property
    def may_be_lost(self) -> bool:
        """Say whether the batch may be lost in a crash: it only moves out, and the next round finds the same again."""
        return not (self.accounts or self.new_accounts or self.usage or self.admin)


class Batch(Protocol):
    """One database transaction of a lane."""

    def load(self, needs: Needs) -> Loaded:
        """Lock the accounts in key order, then read everything; a constant number of statements.

        Raises LockedError where a lock that is to be waited for is not to be had within a moment.
        """
        ...

    def overdue(self, account_keys: Iterable[int], now_us: int) -> list[Reservation]:
        """Return the HELD reservations of locked accounts that are past their deadline, by deadline, then id."""
        ...

    def price_book(self, now_us: int, known: PriceBook | None = None) -> PriceBook:
        """Return the lists of every name in force at `now_us` and later; those that are `known` are not read again."""
        ...

    def write(self, writes: Writes, meanwhile: Callable[[], None] | None = None) -> None:
        """Write set-based; a constant number of statements.

        `meanwhile` is called once while the database writes and commits, where that is another process.
        """
        ...


class Publication(Protocol):
    """The database transaction of one PublishPrices; no batch runs beside it, on any server."""

    now_us: int

    def admin_record(self, digest: bytes) -> AdminRecord | None:
        """Return the record of a request_id, if it has been used."""
        ...

    def price_list(self, version: int) -> PriceList:
        """Return one published list."""
        ...

    def price_book(self, now_us: int) -> PriceBook:
        """Return the lists of every name in force at `now_us` and later."""
        ...

    def endpoint_ids(self, prices: Sequence[Price]) -> tuple[Price, ...]:
        """Return the prices with their endpoint ids, new ones registered."""
        ...

    def write(self, prices: PriceList, record: AdminRecord) -> None:
        """Write the list and the record."""
        ...


class Due(NamedTuple):
    """What a sweep found overdue."""

    holds: list[ReservationName]
    account_keys: list[int]
    """Accounts with a grant that is due to expire, or a recurring one whose next period has begun."""


class Ended(NamedTuple):
    """What tells of a reservation whether it is to be moved out."""

    reservation: ReservationName
    state: ReservationState
    settled_us: int
    expires_us: int


class WindowKey(NamedTuple):
    """The key of a window of a limit: how far a walk through them has come."""

    shard: int
    account_key: int
    limit_id: int
    start_us: int


class LaneStore(Protocol):
    """A store's side of one lane: a connection of its own, used by one thread."""

    def batch(self) -> AbstractContextManager[Batch]:
        """Open a batch: committed, durably, when the block ends, rolled back when it raises."""
        ...

    def publication(self) -> AbstractContextManager[Publication]:
        """Open the transaction of a PublishPrices, in the same way."""
        ...

    def due(self, shards: Sequence[int], limit: int) -> Due:
        """Return what is overdue now in these shards, at most `limit` holds and `limit` accounts."""
        ...

    def place_events(self, limit: int) -> int:
        """Number committed events that have no position, at most `limit`, the oldest first; return how many."""
        ...

    def oldest(self, shards: Sequence[int]) -> tuple[int, int | None]:
        """Return the time, and the least reservation id of these shards, None where there is none."""
        ...

    def aged(self, shards: Sequence[int], first: int, end: int, limit: int) -> list[Ended]:
        """Return the reservations of these shards with ids in [first, end); any `limit` of them, in no order."""
        ...

    def forget_windows(
        self, shards: Sequence[int], after: WindowKey, began_before_us: int, limit: int
    ) -> WindowKey | None:
        """Look at `limit` windows after a place, and delete those that are not needed; return how far it came.

        A window is not needed in which only moved-out reservations count, where a later one of its limit is
        there or it began before `began_before_us`. None: there are no more.
        """
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class Reader(Protocol):
    """Reads for people: consistent snapshots that take no lock. Safe to call from many threads.

    `account`, `overview`, `entries` and `explanation` raise Refused ACCOUNT_NOT_FOUND.
    """

    def account(self, account_id: str) -> AccountView:
        """Return one account."""
        ...

    def accounts(self, query: ListAccounts) -> AccountPage:
        """Return a page of accounts."""
        ...

    def prices(self, query: ListPrices) -> PricePage:
        """Return a page of price lists."""
        ...

    def entries(self, query: ListEntries) -> EntryPage:
        """Return a page of an account's journal as it is written, and say whether entries of it are due."""
        ...

    def events(self, query: ListEvents) -> EventPage:
        """Return a page of events that have a position. An account that is not there has none."""
        ...

    def last_position(self) -> int:
        """Return the position of the newest event; 0 where there is none."""
        ...

    def charge_sequence(self, reservation: ReservationName) -> int | None:
        """Return where the journal has the charge of a reservation that was moved out, None where it has none.

        Looks through the account's entries from when the reservation was made until it finds it, some at a time.
        """
        ...

    def explanation(self, query: ExplainReservation) -> Explanation:
        """Return the whole life of one reservation. Raises Refused RESERVATION_NOT_FOUND."""
        ...

    def overview(self, query: GetOverview) -> Overview:
        """Return the Credit Cost Overview."""
        ...

    def consumption(self, query: ListConsumption) -> ConsumptionPage:
        """Return a page of accounts by what they consumed."""
        ...

    def platform_overview(self, query: GetPlatformOverview) -> PlatformOverview:
        """Return what all accounts consumed together."""
        ...

    def verify(self, *, overdue_tolerance_us: int) -> Iterable[Finding]:
        """Check every invariant of rules 10 in one snapshot, yielding what breaks one."""
        ...


class Store(Protocol):
    """A ledger's database."""

    lanes_max: int
    """How many lanes may write side by side: 1 on SQLite."""
    reader: Reader
    webhooks: WebhookStore
    tokens: TokenStore

    def lane(self) -> LaneStore:
        """Open a connection for a lane."""
        ...

    def abort(self) -> None:
        """Break off whatever waits for the database, now and from now on: it raises UnavailableError."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
