"""What can be asked of the ledger. Every value is valid by the time it is here (see `fields.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import NamedTuple

from tollkeeper.core.account import AccountState
from tollkeeper.core.alerts.rules import AlertRule
from tollkeeper.core.limits import Limit
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.paths import Path
from tollkeeper.core.pricing.price_lists import DEFAULT_LIST, Price, Unlisted
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.reservation import ReservationName

Content = Mapping[str, str | int | None]
"""The fields of a call that a repeat of it must not change, by their names in the proto."""


class Authorize(NamedTuple):
    """Hold the fixed price of one request. `hold_us` is None where the caller left it to the server. Hot: a tuple.

    `caller` is who asks, as it is told: kept for people, and no part of what a repeat is compared with.
    """

    account_id: str
    method: str
    path: Path
    request_id: str
    hold_us: int | None = None
    dry_run: bool = False
    caller: str = ""


class Commit(NamedTuple):
    """Settle a hold by how its request ended: exactly one of `http_status` and `outcome` is set. Hot: a tuple."""

    reservation: ReservationName
    http_status: int | None = None
    outcome: Outcome | None = None
    caller: str = ""


class Release(NamedTuple):
    """Give a hold back; `outcome` is never VALID_RESPONSE. Hot: a tuple."""

    reservation: ReservationName
    outcome: Outcome = Outcome.CANCELLED
    caller: str = ""


class Extend(NamedTuple):
    """Let an open hold last so long from now. `hold_us` is None where the caller left it to the server."""

    reservation: ReservationName
    hold_us: int | None = None


class EndOverdue(NamedTuple):
    """End one hold if it is past its deadline; the sweeper's own command, safe to repeat."""

    reservation: ReservationName


class MoveOut(NamedTuple):
    """Move one reservation out if its retention time is over; the lane's own command, safe to repeat."""

    reservation: ReservationName


class DoWhatIsDue(NamedTuple):
    """Expire the overdue grants of one account and grant its periods; the sweeper's own command, safe to repeat."""

    account_key: int


class DoAllThatIsDue(NamedTuple):
    """Do all that is due on one account, its overdue holds too; what a reader of its journal asks for first."""

    account_id: str


@dataclass(frozen=True, slots=True)
class CreateAccount:
    """Open an account with nothing in it."""

    account_id: str
    request_id: str
    display_name: str = ""
    credit_limit: int = 0
    limits: tuple[Limit, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    price_list: str = DEFAULT_LIST
    price_list_effective_us: int | None = None
    """From when on it pays by that list; None for now."""


@dataclass(frozen=True, slots=True)
class UpdateAccount:
    """Change what is not None."""

    account_id: str
    request_id: str
    display_name: str | None = None
    state: AccountState | None = None
    credit_limit: int | None = None
    limits: tuple[Limit, ...] | None = None
    """All of them; their `limit_id` is 0."""
    alerts: tuple[AlertRule, ...] | None = None
    """All of them; their `rule_id` is 0."""
    price_list: str | None = None
    price_list_effective_us: int | None = None
    """From when on it pays by that list; None for now."""


@dataclass(frozen=True, slots=True)
class GrantCredits:
    """Give credits to an account. `expires_us` is None for never."""

    account_id: str
    request_id: str
    credits: int
    priority: int = 0
    expires_us: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class CreateRecurringGrant:
    """Give credits to an account at the beginning of every period. `anchor_us` is None for now, `end_us` for never."""

    account_id: str
    request_id: str
    credits: int
    period: RecurringPeriod
    anchor_us: int | None = None
    time_zone: str = "UTC"
    rollover_max: int = 0
    priority: int = 0
    note: str = ""
    end_us: int | None = None


@dataclass(frozen=True, slots=True)
class EndRecurringGrant:
    """Let no period of a recurring grant begin any more. `end_us` is None for from now on."""

    account_id: str
    number: int
    request_id: str
    end_us: int | None = None


@unique
class When(IntEnum):
    """From when on a recurring grant replaces another; the numbers are the proto's."""

    NOW = 1
    NEXT_PERIOD = 2


@dataclass(frozen=True, slots=True)
class ReplaceRecurringGrant:
    """Let a recurring grant take the place of another. `period` is None for that of the one it replaces."""

    account_id: str
    number: int
    request_id: str
    credits: int
    period: RecurringPeriod | None = None
    rollover_max: int = 0
    priority: int = 0
    note: str = ""
    when: When = When.NOW


@dataclass(frozen=True, slots=True)
class VoidGrant:
    """Take back the credits of a grant that are neither spent nor held."""

    account_id: str
    grant_id: int
    request_id: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Debit:
    """Take credits back from an account, even if they were spent."""

    account_id: str
    request_id: str
    credits: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Refund:
    """Give back a charge. `credits` is None for all that is left of it.

    `expires_us` is the expiry of what would otherwise be given back to grants that have expired or were voided; None:
    it is given back as expired, or as voided. `charge_sequence` is where the journal has the charge of a reservation
    that was moved out, 0 where that was not looked for; it is no part of what a repeat is compared with.
    """

    reservation: ReservationName
    request_id: str
    credits: int | None = None
    note: str = ""
    expires_us: int | None = None
    charge_sequence: int = 0


@dataclass(frozen=True, slots=True)
class PublishPrices:
    """Publish a whole price list under a name. `effective_us` is None for now."""

    request_id: str
    prices: tuple[Price, ...]
    unlisted: Unlisted = Unlisted.FREE
    effective_us: int | None = None
    note: str = ""
    name: str = DEFAULT_LIST


@unique
class Granularity(IntEnum):
    """The width of a bucket of the overview's series; the numbers are the proto's."""

    HOUR = 1
    DAY = 2
    MONTH = 3


@dataclass(frozen=True, slots=True)
class GetOverview:
    """Read the Credit Cost Overview; None stands for the default."""

    account_id: str
    start_us: int | None = None
    end_us: int | None = None
    granularity: Granularity = Granularity.DAY
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class ListAccounts:
    """Read accounts by id, beginning after `after`."""

    page_size: int
    after: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class ListPrices:
    """Read price lists, newest first, beginning below version `before` (None: at the newest).

    Those of one name, or of all where it is None.
    """

    page_size: int
    before: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ListEntries:
    """Read an account's journal, oldest first, beginning after sequence `after`; times are [start, end)."""

    account_id: str
    page_size: int
    after: int = 0
    start_us: int | None = None
    end_us: int | None = None


@dataclass(frozen=True, slots=True)
class ListEvents:
    """Read events by position, beginning after `after`: all, those of one account, or of the ids with a prefix."""

    page_size: int
    after: int = 0
    account_id: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvents:
    """Read events as they come, as `ListEvents` does; `after` is None for those from now on."""

    after: int | None
    account_id: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class ConsumptionCursor:
    """Where a list of consumption goes on: its period as counted, and the last account that was shown."""

    start_us: int
    end_us: int
    credits: int
    account_id: str


@dataclass(frozen=True, slots=True)
class ListConsumption:
    """Read what accounts consumed in a period, most first; None stands for the default of GetOverview.

    Beginning after `after` (None: at the first), whose period goes before the one asked for.
    """

    page_size: int
    start_us: int | None = None
    end_us: int | None = None
    time_zone: str = "UTC"
    prefix: str = ""
    after: ConsumptionCursor | None = None


@dataclass(frozen=True, slots=True)
class GetPlatformOverview:
    """Read what all accounts consumed; None stands for the default of GetOverview."""

    start_us: int | None = None
    end_us: int | None = None
    granularity: Granularity = Granularity.DAY
    time_zone: str = "UTC"
    endpoint_series: bool = False
