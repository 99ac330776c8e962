"""What the ledger answers to those who read it. Balances and grants are shown as if everything due had been done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tollkeeper.core.account import AccountState
from tollkeeper.core.alerts.events import Event
from tollkeeper.core.alerts.rules import AlertReading, AlertRule
from tollkeeper.core.commands import ConsumptionCursor
from tollkeeper.core.credits import Balance
from tollkeeper.core.grants import Grants
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.limits import Limit, Window
from tollkeeper.core.pricing.assignments import Standing
from tollkeeper.core.pricing.price_lists import PriceList
from tollkeeper.core.recurring.recurring_grants import NO_RECURRING, Recurring, RecurringGrant


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as operators see it."""

    account_id: str
    display_name: str
    state: AccountState
    credit_limit: int
    created_us: int
    balance: Balance
    limits: tuple[Limit, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    pricing: Standing = field(default=Standing())
    recurring: Recurring = NO_RECURRING
    """By number, those that have ended included."""


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

    @property
    def is_late(self) -> bool:
        """Whether it is a charge that came after its hold had expired."""
        return self.entry.kind is EntryKind.LATE_CHARGE


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Journal entries, oldest first; `next_after` is 0 on the last page, no later entry has `sequence_end`.

    `is_due`: entries of this page are due, and not written yet.
    """

    entries: tuple[EntryView, ...]
    next_after: int
    sequence_end: int = 0
    is_due: bool = False


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events by position; `next_after` is 0 on the last page. `through`: no event up to this position is still to come.

    A reader of the last page goes on after `through`, also if no event was for this reader.
    """

    events: tuple[Event, ...]
    next_after: int
    through: int


class UsageTotals(NamedTuple):
    """Requests by how they ended, and credits consumed.

    What was released is told by outcome, what was denied by reason, under the names of their `UsageKind`.
    """

    requests: int = 0
    credits: int = 0
    expired: int = 0
    refunded_credits: int = 0
    free: int = 0
    released_validation_failed: int = 0
    released_authentication_failed: int = 0
    released_rate_limited: int = 0
    released_blocked: int = 0
    released_server_error: int = 0
    released_cancelled: int = 0
    released_redirected: int = 0
    denied_account_blocked: int = 0
    denied_endpoint_not_listed: int = 0
    denied_limit_exceeded: int = 0
    denied_insufficient_credits: int = 0

    @property
    def released(self) -> int:
        """Requests that were authorized and not charged, whatever the outcome."""
        return sum(self[5:12])

    @property
    def denied(self) -> int:
        """Requests that Authorize refused, whatever the reason."""
        return sum(self[12:16])


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
    """As `prices`: those that the account pays by, each as of the moment from which it does."""
    limits: tuple[tuple[Limit, Window], ...] = ()
    """Each with the window that contains `as_of_us`."""
    alerts: tuple[AlertReading, ...] = ()
    recurring: Recurring = NO_RECURRING
    """Those that have a period to come, the next one first."""


@dataclass(frozen=True, slots=True)
class GrantView:
    """The answer to GrantCredits (the grant as it was given) and VoidGrant (as it is left), and the balance now."""

    grant_id: int
    credits: int
    remaining: int
    priority: int
    created_us: int
    expires_us: int
    note: str
    balance: Balance
    replayed: bool


class RecurringView(NamedTuple):
    """The answer to CreateRecurringGrant: the recurring grant as it was made, and the balance now."""

    recurring: RecurringGrant
    balance: Balance
    replayed: bool = False


class RecurringEnded(NamedTuple):
    """The answer to EndRecurringGrant: when it ends, and the balance now."""

    number: int
    end_us: int
    balance: Balance
    replayed: bool = False


class RecurringReplaced(NamedTuple):
    """The answer to ReplaceRecurringGrant: the new one as it was made, when the old one ends, and the balance now.

    `voided` is what was taken back of the old one, `given` what the new one gave at once.
    """

    recurring: RecurringGrant
    end_us: int
    voided: int
    given: int
    balance: Balance
    replayed: bool = False


class Debited(NamedTuple):
    """The answer to Debit: what was taken back, and the balance now; `created_us` is the time of its entry."""

    credits: int
    created_us: int
    balance: Balance
    replayed: bool = False


class Refunded(NamedTuple):
    """The answer to Refund: what was given back, and the balance now; `grant_id` is 0 where no new grant was made."""

    credits: int
    grant_id: int
    balance: Balance
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """The answer to PublishPrices."""

    prices: PriceList
    replayed: bool


class Finding(NamedTuple):
    """One thing that `verify` found broken: the invariant's number in rules 10, the account, and what is wrong."""

    invariant: int
    account_id: str
    message: str


class AccountConsumption(NamedTuple):
    """What one account consumed in a period."""

    account_id: str
    usage: UsageTotals


@dataclass(frozen=True, slots=True)
class ConsumptionPage:
    """Accounts with any usage in a period, most credits first, then by id; `next_after` is None on the last page."""

    as_of_us: int
    start_us: int
    end_us: int
    accounts: tuple[AccountConsumption, ...]
    next_after: ConsumptionCursor | None


class PlatformEndpoint(NamedTuple):
    """The usage of one endpoint by all accounts; `series` has only the buckets with any, where it was asked for."""

    method: str
    path: str
    usage: UsageTotals
    series: tuple[UsageBucket, ...] = ()


@dataclass(frozen=True, slots=True)
class PlatformOverview:
    """What all accounts consumed, true of `as_of_us`. total = sum(endpoints) = sum(series)."""

    as_of_us: int
    start_us: int
    end_us: int
    total: UsageTotals
    endpoints: tuple[PlatformEndpoint, ...]
    series: tuple[UsageBucket, ...]
