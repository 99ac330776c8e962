"""What the ledger answers to those who read it. Balances and grants are shown as if everything due had been done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tollkeeper.core.account import AccountState
from tollkeeper.core.credits import Balance
from tollkeeper.core.grants import Grants
from tollkeeper.core.journal import Entry
from tollkeeper.core.prices import PriceList


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as operators see it."""

    account_id: str
    display_name: str
    state: AccountState
    credit_limit: int
    created_us: int
    balance: Balance


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Accounts in the order of their ids; `next_after` is empty on the last page."""

    accounts: tuple[AccountView, ...]
    next_after: str


@dataclass(frozen=True, slots=True)
class PricePage:
    """Price lists, newest first; `next_before` is 0 on the last page."""

    lists: tuple[PriceList, ...]
    next_before: int


class EntryView(NamedTuple):
    """A journal entry with its endpoint as the price list wrote it (both empty where it has none)."""

    entry: Entry
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Journal entries, oldest first; `next_after` is 0 on the last page."""

    entries: tuple[EntryView, ...]
    next_after: int


class UsageTotals(NamedTuple):
    """Requests by how they ended, and credits consumed."""

    requests: int = 0
    credits: int = 0
    released: int = 0
    expired: int = 0
    denied: int = 0
    refunded_credits: int = 0


class EndpointUsage(NamedTuple):
    """The usage of one endpoint, named as the price list wrote it."""

    method: str
    path: str
    usage: UsageTotals


class UsageBucket(NamedTuple):
    """The usage of one hour, day or month; `start_us` is where it begins."""

    start_us: int
    usage: UsageTotals


@dataclass(frozen=True, slots=True)
class Overview:
    """The Credit Cost Overview: one consistent snapshot, true of `as_of_us`. total = sum(endpoints) = sum(series)."""

    account_id: str
    as_of_us: int
    balance: Balance
    lifetime_credits: int
    start_us: int
    end_us: int
    total: UsageTotals
    endpoints: tuple[EndpointUsage, ...]
    series: tuple[UsageBucket, ...]
    grants: Grants
    prices: PriceList | None
    upcoming_prices: tuple[PriceList, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class GrantView:
    """The answer to GrantCredits: the grant as it was given, and the balance now."""

    grant_id: int
    credits: int
    remaining: int
    priority: int
    created_us: int
    expires_us: int
    note: str
    balance: Balance
    replayed: bool


@dataclass(frozen=True, slots=True)
class Published:
    """The answer to PublishPrices."""

    prices: PriceList
    replayed: bool


class Finding(NamedTuple):
    """One thing that `verify` found broken: the invariant's number in SEMANTICS 10, the account, and what is wrong."""

    invariant: int
    account_id: str
    message: str
