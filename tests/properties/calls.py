"""What the machine can ask for.

A *wish* is what hypothesis draws: small, and meaningful in every ledger ("the third-newest hold").
It becomes a *call*, with every field written out as a caller would, once the ledger is known.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.support.model.account import Row

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US

# The second is in another lane than the others where there are two; the last two share a shard.
ACCOUNTS = ("acme", "wayne", "globex", "stark")
LIST_NAMES = ("partner", "gold")
NO_LIST = "nobody"
"""Names of price lists, and one that no list has."""
NO_RESERVATION, OTHERS_RESERVATION = -1, -2
NO_GRANT = -1
NO_RECURRING = 77
"""Stand for an id that was never given, and for another account's reservation under a wrong name."""

PAGE: list[Row] = [
    {"method": "GET", "path": "/v1/leads", "credits": 8},
    {"method": "POST", "path": "/v1/track", "credits": 1},
    {"method": "*", "path": "/v1/leads/export", "credits": 7},
    {"method": "GET", "path": "/v1/leads/{id}", "credits": 9},
    {"method": "*", "path": "/v1/files/{name}", "credits": 3},
    {"method": "GET", "path": "/v1/files/**", "credits": 4},
    {"method": "GET", "path": "/v1/health", "credits": 0},
    {"method": "GET", "path": "/v1/strict", "credits": 5, "charge_on": ["2xx", "404"]},
    {"method": "POST", "path": "/v1/models/{model}:run", "credits": 6},
]

PATTERNS = [
    *(row["path"] for row in PAGE),
    "/v1/{kind}/export",
    "/v1/{kind}:run/**",
    "/v1/caf\u00e9",
    "/v1/cafe\u0301",
    "/{version}/leads/",
    "/v1/**",
    "/**",
    "/",
]
ENDPOINTS = [
    ("GET", "/v1/leads"),
    ("GET", "/v1/leads/export"),
    ("POST", "/v1/track"),
    ("GET", "/v1/files/a"),
    ("GET", "/v1/files/a/b"),
    ("GET", "/v1/strict"),
    ("GET", "/v1/health"),
    ("POST", "/v1/files/a"),
    ("POST", "/v1/leads"),
    ("HEAD", "/v1/leads"),
    ("HEAD", "/v1/files/a"),
    ("POST", "/v1/models/m:run"),
    ("POST", "/v1/models/m:stop"),
    ("GET", "/v1/caf\u00e9"),
    ("GET", "/v1/cafe\u0301"),
    ("GET", "/v1/status"),
    ("GET", "/v2/leads"),
    ("GET", "/"),
]
PATHS = [path for _, path in ENDPOINTS]


@dataclass(frozen=True)
class Call:
    """One call: the model's method, and every field of it."""

    name: str
    fields: Row


@dataclass
class Seen:
    """What a wish can refer to: the calls so far, and the reservations by the model's ids."""

    now_us: int
    calls: list[Call] = field(default_factory=list[Call])
    reservations: list[int] = field(default_factory=list[int])
    grants: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    recurring: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    fresh: int = 0
    callers: int = 0

    def caller(self) -> str:
        """Name another caller than the one before, so that what is kept can only be that of one call."""
        self.callers += 1
        return f"gateway {self.callers}"

    def request_id(self, key: int | None) -> str:
        """Make a request_id that was never used, or one of the few that are used again."""
        if key is not None:
            return f"key {key}"
        self.fresh += 1
        return f"fresh {self.fresh}"

    def later(self, by_us: int | None) -> int | None:
        """Return the moment that is so much later; None stands for itself."""
        return None if by_us is None else self.now_us + by_us

    def reservation(self, pick: int) -> int:
        """Pick a reservation, the newest first; a negative pick stands for itself."""
        if pick < 0 or not self.reservations:
            return min(pick, NO_RESERVATION)
        return self.reservations[-1 - pick % len(self.reservations)]


class Wish(Protocol):
    """What is drawn."""

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        ...


@dataclass(frozen=True)
class Authorize:
    """Ask to hold the price of an endpoint."""

    account: str
    endpoint: tuple[str, str]
    key: int | None
    hold_us: int | None
    dry_run: bool

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "authorize",
            {
                "account_id": self.account,
                "method": self.endpoint[0],
                "path": self.endpoint[1],
                "request_id": seen.request_id(self.key),
                "hold_us": self.hold_us,
                "dry_run": self.dry_run,
                "caller": seen.caller(),
            },
        )


@dataclass(frozen=True)
class Settle:
    """Commit or release a hold; `how` is its outcome or status."""

    name: str
    pick: int
    how: tuple[str, Any]

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        given = {"reservation_id": seen.reservation(self.pick), "caller": seen.caller()}
        return Call(self.name, given | dict([self.how]))


@dataclass(frozen=True)
class Extend:
    """Let a hold last so long from now, or as long as one does by default."""

    pick: int
    hold_us: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        given = {"reservation_id": seen.reservation(self.pick), "hold_us": self.hold_us}
        return Call("extend", given)


@dataclass(frozen=True)
class CreateAccount:
    """Open an account."""

    account: str
    credit_limit: int
    display_name: str
    key: int | None
    limits: list[Row] = field(default_factory=list[Row])
    price_list: str = ""
    price_list_later_us: int | None = None
    alerts: list[Row] = field(default_factory=list[Row])

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "create_account",
            {
                "account_id": self.account,
                "credit_limit": self.credit_limit,
                "display_name": self.display_name,
                "limits": self.limits,
                "price_list": self.price_list,
                "price_list_since_us": seen.later(self.price_list_later_us),
                "alerts": self.alerts,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class UpdateAccount:
    """Change what is not None."""

    account: str
    state: str | None
    credit_limit: int | None
    display_name: str | None
    key: int | None
    limits: list[Row] | None = None
    price_list: str | None = None
    price_list_later_us: int | None = None
    alerts: list[Row] | None = None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "update_account",
            {
                "account_id": self.account,
                "state": self.state,
                "credit_limit": self.credit_limit,
                "display_name": self.display_name,
                "limits": self.limits,
                "price_list": self.price_list,
                "price_list_since_us": seen.later(self.price_list_later_us),
                "alerts": self.alerts,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class Grant:
    """Give credits that last so long from now, or for ever."""

    account: str
    credits: int
    priority: int
    lasts_us: int | None
    note: str
    key: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "grant",
            {
                "account_id": self.account,
                "credits": self.credits,
                "priority": self.priority,
                "expires_us": None if self.lasts_us is None else seen.now_us + self.lasts_us,
                "note": self.note,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class CreateRecurring:
    """Give credits every period, counted from a moment that lies so far from now, until another one."""

    account: str
    credits: int
    period: str
    anchor_in_us: int | None
    time_zone: str
    rollover_max: int
    priority: int
    ends_in_us: int | None
    note: str
    key: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "create_recurring",
            {
                "account_id": self.account,
                "credits": self.credits,
                "period": self.period,
                "anchor_us": seen.later(self.anchor_in_us),
                "time_zone": self.time_zone,
                "rollover_max": self.rollover_max,
                "priority": self.priority,
                "end_us": seen.later(self.ends_in_us),
                "note": self.note,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class EndRecurring:
    """End a recurring grant of an account, by its number: now, or so long from now."""

    account: str
    number: int
    ends_in_us: int | None
    key: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "end_recurring",
            {
                "account_id": self.account,
                "number": self.number,
                "end_us": seen.later(self.ends_in_us),
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class ReplaceRecurring:
    """Replace a recurring grant, the newest first, or one that there is not."""

    pick: int
    credits: int
    period: str | None
    rollover_max: int
    priority: int
    note: str
    when: str
    key: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        account_id, number = ACCOUNTS[0], NO_RECURRING
        if self.pick >= 0 and seen.recurring:
            account_id, number = seen.recurring[-1 - self.pick % len(seen.recurring)]
        return Call(
            "replace_recurring",
            {
                "account_id": account_id,
                "number": number,
                "credits": self.credits,
                "period": self.period,
                "rollover_max": self.rollover_max,
                "priority": self.priority,
                "note": self.note,
                "when": self.when,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class Void:
    """Take back a grant, the newest first, or one that there is not."""

    pick: int
    note: str
    key: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        account_id, grant_id = ACCOUNTS[0], NO_GRANT
        if self.pick >= 0 and seen.grants:
            account_id, grant_id = seen.grants[-1 - self.pick % len(seen.grants)]
        return Call(
            "void_grant",
            {
                "account_id": account_id,
                "grant_id": grant_id,
                "note": self.note,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class Debit:
    """Take credits back from an account."""

    account: str
    credits: int
    note: str
    key: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "debit",
            {
                "account_id": self.account,
                "credits": self.credits,
                "note": self.note,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class Refund:
    """Give back a charge or a part of it; what is lost on the way lasts so long from now, where that is not None."""

    pick: int
    credits: int | None
    lasts_us: int | None
    note: str
    key: int | None

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "refund",
            {
                "reservation_id": seen.reservation(self.pick),
                "credits": self.credits,
                "expires_us": None if self.lasts_us is None else seen.now_us + self.lasts_us,
                "note": self.note,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class Publish:
    """Publish prices that hold from so much later on, or from now."""

    prices: list[Row]
    unlisted: str
    later_us: int | None
    note: str
    key: int | None
    name: str = ""

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        return Call(
            "publish",
            {
                "prices": self.prices,
                "unlisted": self.unlisted,
                "effective_us": seen.later(self.later_us),
                "note": self.note,
                "name": self.name,
                "request_id": seen.request_id(self.key),
            },
        )


@dataclass(frozen=True)
class Repeat:
    """Repeat a call, the newest first, with these of its fields altered."""

    pick: int
    altered: tuple[int, ...]

    def call(self, seen: Seen) -> Call:
        """Write the wish out."""
        if not seen.calls:
            return CreateAccount(ACCOUNTS[0], 0, "", None).call(seen)
        before = seen.calls[-1 - self.pick % len(seen.calls)]
        alterable = [name for name in before.fields if name in ALTERATIONS]
        names = {alterable[each % len(alterable)] for each in self.altered if alterable}
        altered = {name: ALTERATIONS[name](before.fields[name]) for name in names}
        # Who calls is no part of what a repeat is compared with, and the first is kept.
        caller = {"caller": seen.caller()} if "caller" in before.fields else {}
        return Call(before.name, before.fields | caller | altered)


def next_of(values: list[Any]) -> Callable[[Any], Any]:
    """Alter a value to the one after it in a ring; one that is not in it becomes the first."""

    def alter(value: Any) -> Any:
        return values[(values.index(value) + 1) % len(values) if value in values else 0]

    return alter


def next_prices(prices: list[Row]) -> list[Row]:
    if not prices:
        return PAGE
    return [*prices[:-1], prices[-1] | {"credits": prices[-1]["credits"] + 1}]


def next_limits(limits: list[Row] | None) -> list[Row] | None:
    if not limits:
        return None if limits is None else [LIMIT]
    return [*limits[:-1], limits[-1] | {"maximum": limits[-1]["maximum"] + 1}]


def next_alerts(alerts: list[Row] | None) -> list[Row] | None:
    if not alerts:
        return None if alerts is None else [ALERT]
    return [*alerts[:-1], alerts[-1] | {"threshold": alerts[-1]["threshold"] + 1}]


ALERT: Row = {
    "name": "half",
    "subject": "CONSUMED",
    "threshold": 5,
    "percent": False,
    "window": "DAY",
    "time_zone": "UTC",
    "limit": "",
}
ALERTS: list[Row] = [
    ALERT,
    ALERT | {"name": "much", "threshold": 40, "percent": True, "time_zone": "Asia/Kolkata"},
    ALERT
    | {"name": "low", "subject": "REMAINING", "threshold": 12, "window": None, "time_zone": ""},
    ALERT | {"name": "little", "subject": "REMAINING", "threshold": 60, "percent": True},
    ALERT
    | {"name": "cap", "subject": "LIMIT_USE", "threshold": 8, "limit": "daily"}
    | {"window": None, "time_zone": ""},
]
"""A rule of every subject."""
LIMIT: Row = {
    "name": "daily",
    "unit": "CREDITS",
    "window": "DAY",
    "maximum": 20,
    "method": "",
    "path": "",
    "time_zone": "UTC",
    "enforce": True,
}
ALTERATIONS: dict[str, Callable[[Any], Any]] = {
    "account_id": next_of(list(ACCOUNTS)),
    "method": next_of(["GET", "POST"]),
    "path": next_of(PATHS),
    "hold_us": next_of([None, 30 * SECOND_US, 60 * SECOND_US]),
    "dry_run": lambda dry_run: not dry_run,
    "http_status": next_of([200, 204, 500, 429, 404, 302]),
    "outcome": next_of([None, "CANCELLED", "SERVER_ERROR", "BLOCKED", "REDIRECTED"]),
    "credits": lambda credits_: (credits_ or 0) + 1,
    "priority": lambda priority: priority + 1,
    "expires_us": lambda at_us: None if at_us else 4_000_000_000 * SECOND_US,
    "price_list": next_of(["", *LIST_NAMES]),
    "price_list_since_us": lambda at_us: None if at_us else 4_000_000_000 * SECOND_US,
    "name": next_of(["", *LIST_NAMES]),
    "period": next_of(["DAY", "WEEK", "MONTH", "YEAR"]),
    "rollover_max": lambda credits_: credits_ + 1,
    "time_zone": next_of(["UTC", "Europe/Berlin"]),
    "when": next_of(["NOW", "NEXT_PERIOD"]),
    "number": lambda number: number + 1,
    "anchor_us": lambda at_us: None if at_us else 4_000_000_000 * SECOND_US,
    "end_us": lambda at_us: None if at_us else 4_000_000_000 * SECOND_US,
    "effective_us": lambda at_us: None if at_us else 4_000_000_000 * SECOND_US,
    "note": lambda note: note + "!",
    "display_name": lambda name: (name or "") + "!",
    "credit_limit": lambda limit: (limit or 0) + 1,
    "state": next_of(["ACTIVE", "BLOCKED", None]),
    "unlisted": next_of(["free", "denied"]),
    "prices": next_prices,
    "limits": next_limits,
    "alerts": next_alerts,
}
