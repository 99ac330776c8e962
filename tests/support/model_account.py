"""One account of the reference model: how its credits move, and what must always hold of them.

Each method is one movement of docs/rules.md. None of them decides whether it is allowed; that is
the model's part.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from tests.support.model_paths import Price

Row = dict[str, Any]
Slice = tuple[int | None, int]  # a grant and its part; None is the credit line
Endpoint = tuple[int, str, str]  # an hour, a method and a path

HOUR_US = 3_600_000_000
VALID = "VALID_RESPONSE"


@dataclass
class Grant:
    """Credits given to an account: remaining + held + consumed + expired = credits, always."""

    id: int
    credits: int
    priority: int
    expires_us: int | None
    create_us: int
    note: str
    server_id: str
    remaining: int
    held: int = 0
    consumed: int = 0
    expired: int = 0

    def burn_order(self) -> tuple[int, bool, int, int, str, int]:
        """Sort by priority, expiry (never last), creation, id."""
        never = self.expires_us is None
        ids = (self.server_id, self.id)
        return (self.priority, never, self.expires_us or 0, self.create_us, *ids)

    def is_open(self, now_us: int) -> bool:
        """Whether the grant has not expired; at its very expiry it has."""
        return self.expires_us is None or now_us < self.expires_us

    def row(self) -> Row:
        """Show the grant."""
        return {name: value for name, value in vars(self).items() if name != "server_id"}


@dataclass
class Hold:
    """A reservation, with the price it was made at and the slices that pay for it."""

    id: int | None
    request_id: str
    content: Row
    price: Price
    price_version: int
    create_us: int
    expire_us: int
    slices: list[Slice] = field(default_factory=list[Slice])
    state: str = "HELD"
    outcome: str | None = None
    late: bool = False
    settled_us: int = 0

    def answer(self) -> Row:
        """Show what Authorize answers with."""
        return {
            "reservation_id": self.id,
            "credits": self.price.credits,
            "price_version": self.price_version,
            "state": self.state,
            "create_us": self.create_us,
            "expire_us": self.expire_us,
        }

    def row(self) -> Row:
        """Show all of the reservation."""
        return self.answer() | {
            "request_id": self.request_id,
            "content": dict(self.content),
            "method": self.price.method,
            "path": self.price.path,
            "charge_on": self.price.charge_on,
            "outcome": self.outcome,
            "late": self.late,
            "slices": list(self.slices),
            "settled_us": self.settled_us,
        }


@dataclass
class Account:
    """An account with all its rows; `owed` is what was charged and paid by no grant."""

    id: str
    display_name: str
    credit_limit: int
    create_us: int
    state: str = "ACTIVE"
    owed: int = 0
    shortfall_allowed: bool = False  # a late charge or a lowered limit has happened
    grants: dict[int, Grant] = field(default_factory=dict[int, Grant])
    holds: dict[int, Hold] = field(default_factory=dict[int, Hold])
    entries: list[Row] = field(default_factory=list[Row])
    usage: dict[Endpoint, Row] = field(default_factory=dict[Endpoint, Row])

    # What can be seen

    def balance(self) -> dict[str, int]:
        """Show the balance as the rows stand: a hold counts until it is ended."""
        settled = self.entries[-1]["settled"] if self.entries else 0
        held = sum(hold.price.credits for hold in self.holds.values() if hold.state == "HELD")
        return {
            "available": settled + self.credit_limit - held,
            "settled": settled,
            "held": held,
            "credit_limit": self.credit_limit,
        }

    def answer(self) -> Row:
        """Show what account calls answer with."""
        return {
            "account_id": self.id,
            "display_name": self.display_name,
            "state": self.state,
            "credit_limit": self.credit_limit,
            "create_us": self.create_us,
            "balance": self.balance(),
        }

    def rows(self) -> Row:
        """Show all of the account."""
        charged = [h.price.credits for h in self.holds.values() if h.state == "COMMITTED"]
        counted = {key: row for key, row in self.usage.items() if row != no_usage()}
        return self.answer() | {
            "lifetime_credits": sum(charged),
            "owed": self.owed,
            "grants": [grant.row() for grant in self.in_burn_order()],
            "reservations": [hold.row() for hold in self.holds.values()],
            "entries": copy.deepcopy(self.entries),
            "usage": copy.deepcopy(counted),
        }

    # What is due

    def expire_grants(self, now_us: int) -> None:
        """Expire what overdue grants have left; a grant with nothing left has no entry."""
        for grant in self.in_burn_order():
            if not grant.is_open(now_us) and grant.remaining:
                self._expire(grant, grant.remaining, now_us)
                grant.remaining = 0

    def end_overdue(self, now_us: int) -> bool:
        """End every overdue hold, the earliest deadline first; whether there was one."""
        in_order = sorted(self.holds.values(), key=lambda hold: (hold.expire_us, hold.id))
        return bool([hold for hold in in_order if self.end_if_overdue(hold, now_us)])

    def end_if_overdue(self, hold: Hold, now_us: int) -> bool:
        """End a hold at or past its deadline, counted in the hour of the deadline."""
        if hold.state != "HELD" or now_us < hold.expire_us:
            return False
        hold.state, hold.settled_us = "EXPIRED", now_us
        self.count(hold.expire_us, hold.price, "expired")
        self._give_back(hold, now_us)
        return True

    # What is asked for

    def give(self, grant: Grant, now_us: int) -> None:
        """Add a grant, which first repays what is owed."""
        self.grants[grant.id] = grant
        self._enter(now_us, "GRANT", grant.credits, grant=grant)
        self._repay(now_us)

    def hold(self, hold: Hold, hold_id: int, now_us: int) -> None:
        """Set the price aside from the open grants, and the rest from the credit line."""
        hold.id = hold_id
        hold.slices = self._take(hold.price.credits, now_us)
        for grant, part in self._parts(hold):
            grant.held += part
        self.holds[hold_id] = hold

    def release(self, hold: Hold, outcome: str, now_us: int) -> None:
        """Settle a hold by giving it back."""
        hold.state, hold.outcome, hold.settled_us = "RELEASED", outcome, now_us
        self.count(now_us, hold.price, "released", outcome)
        self._give_back(hold, now_us)

    def charge(self, hold: Hold, now_us: int) -> None:
        """Settle a hold by charging it, from what it holds or, where that is gone, anew."""
        late = hold.state == "EXPIRED"
        if late:
            hold.slices = self._take(hold.price.credits, now_us)
            self.count(hold.expire_us, hold.price, "expired", -1)
            self.shortfall_allowed = True
        for grant, part in self._parts(hold):
            grant.consumed += part
            grant.held -= 0 if late else part
        self.owed += sum(part for grant_id, part in hold.slices if grant_id is None)
        hold.state, hold.outcome, hold.late, hold.settled_us = "COMMITTED", VALID, late, now_us
        self._enter(now_us, "LATE_CHARGE" if late else "CHARGE", -hold.price.credits, charged=hold)
        self.count(now_us, hold.price, "requests")
        self.count(now_us, hold.price, "credits", hold.price.credits)
        self._repay(now_us)

    def count(self, at_us: int, price: Price | None, what: str, by: int | str = 1) -> None:
        """Add to the endpoint's counter of the hour; a string names an outcome or a reason."""
        method, path = (price.method, price.path) if price else ("*", "/**")
        counters = self.usage.setdefault((at_us - at_us % HOUR_US, method, path), no_usage())
        if isinstance(by, str):
            counters[what][by] = counters[what].get(by, 0) + 1
        else:
            counters[what] += by

    def in_burn_order(self) -> list[Grant]:
        """Sort all grants as they pay."""
        return sorted(self.grants.values(), key=Grant.burn_order)

    # How credits move

    def _take(self, credits_: int, now_us: int) -> list[Slice]:
        slices: list[Slice] = []
        for grant in self.in_burn_order():
            part = min(grant.remaining, credits_) if grant.is_open(now_us) else 0
            if part:
                slices.append((grant.id, part))
                grant.remaining -= part
                credits_ -= part
        return [*slices, (None, credits_)] if credits_ else slices

    def _give_back(self, hold: Hold, now_us: int) -> None:
        """Return each slice to its grant; where that has expired, the slice expires as well."""
        for grant, part in self._parts(hold):
            grant.held -= part
            if grant.is_open(now_us):
                grant.remaining += part
            else:
                self._expire(grant, part, now_us)
        self._repay(now_us)

    def _repay(self, now_us: int) -> None:
        """Pay what is owed from what is free now; no entry, for the balance stays as it is."""
        for grant_id, part in self._take(self.owed, now_us):
            if grant_id is not None:
                self.grants[grant_id].consumed += part
                self.owed -= part

    def _expire(self, grant: Grant, part: int, now_us: int) -> None:
        grant.expired += part
        self._enter(now_us, "GRANT_EXPIRED", -part, grant=grant)

    def _parts(self, hold: Hold) -> list[tuple[Grant, int]]:
        return [(self.grants[grant_id], part) for grant_id, part in hold.slices if grant_id]

    def _enter(
        self,
        now_us: int,
        kind: str,
        credits_: int,
        *,
        grant: Grant | None = None,
        charged: Hold | None = None,
    ) -> None:
        self.entries.append(
            {
                "sequence": len(self.entries) + 1,
                "kind": kind,
                "credits": credits_,
                "settled": self.balance()["settled"] + credits_,
                "create_us": now_us,
                "grant": grant.id if grant else None,
                "reservation": charged.id if charged else None,
                "method": charged.price.method if charged else "",
                "path": charged.price.path if charged else "",
                "price_version": charged.price_version if charged else 0,
                "note": grant.note if grant and kind == "GRANT" else "",
            }
        )

    # What must always hold

    def check(self) -> None:
        """Assert what must always hold of the account."""
        self._check_money()
        self._check_journal()
        self._check_usage()

    def _check_money(self) -> None:
        balance, grants = self.balance(), self.grants.values()
        assert balance["settled"] == sum(entry["credits"] for entry in self.entries)
        assert balance["settled"] == sum(g.remaining + g.held for g in grants) - self.owed
        assert balance["available"] >= 0 or self.shortfall_allowed
        assert self.owed >= 0
        assert self.owed == 0 or all(grant.remaining == 0 for grant in grants)
        held = [pair for h in self.holds.values() if h.state == "HELD" for pair in self._parts(h)]
        for grant in grants:
            parts = (grant.remaining, grant.held, grant.consumed, grant.expired)
            assert min(parts) >= 0
            assert sum(parts) == grant.credits
            assert grant.held == sum(part for holder, part in held if holder is grant)
        for hold in self.holds.values():
            assert sum(part for _, part in hold.slices) == hold.price.credits

    def _check_journal(self) -> None:
        settled = 0
        for sequence, entry in enumerate(self.entries, start=1):
            settled += entry["credits"]
            assert (entry["sequence"], entry["settled"]) == (sequence, settled)
        for hold in self.holds.values():
            charges = [e["credits"] for e in self.entries if e["reservation"] == hold.id]
            assert charges == ([-hold.price.credits] if hold.state == "COMMITTED" else [])

    def _check_usage(self) -> None:
        told = Account(self.id, "", 0, 0)
        for hold in self.holds.values():
            if hold.state == "COMMITTED":
                told.count(hold.settled_us, hold.price, "requests")
                told.count(hold.settled_us, hold.price, "credits", hold.price.credits)
            elif hold.state == "RELEASED":
                told.count(hold.settled_us, hold.price, "released", hold.outcome or "")
            elif hold.state == "EXPIRED":
                told.count(hold.expire_us, hold.price, "expired")
        for endpoint, row in copy.deepcopy(self.usage).items():
            row["denied"].clear()
            assert row == told.usage.pop(endpoint, no_usage())
        assert not told.usage


def no_usage() -> Row:
    """Count nothing: what a counter begins with."""
    return {"requests": 0, "credits": 0, "released": {}, "expired": 0, "denied": {}}
