"""One account of the reference model: how its credits move, and what must always hold of them.

Each method is one movement of docs/rules.md. None of them decides whether it is allowed; that is
the model's part.
"""

import copy
import itertools
from dataclasses import dataclass, field

from tests.support.model.alerts import SHOWN, Alerts
from tests.support.model.limits import Limits
from tests.support.model.paths import Price
from tests.support.model.recurring import Recurring
from tests.support.model.rows import Grant, Hold, Row, Slice

Endpoint = tuple[int, str, str]  # an hour, a method and a path

HOUR_US = 3_600_000_000
QUARTER_US = HOUR_US // 4
VALID = "VALID_RESPONSE"


@dataclass
class Account:
    """An account with all its rows; `owed` is what was charged or debited and paid by no grant."""

    id: str
    display_name: str
    credit_limit: int
    create_us: int
    state: str = "ACTIVE"
    owed: int = 0
    shortfall_allowed: bool = False  # a late charge, a debit or a lowered limit has happened
    grants: dict[int, Grant] = field(default_factory=dict[int, Grant])
    holds: dict[int, Hold] = field(default_factory=dict[int, Hold])
    past: dict[int, Hold] = field(default_factory=dict[int, Hold])  # what was moved out
    entries: list[Row] = field(default_factory=list[Row])
    usage: dict[Endpoint, Row] = field(default_factory=dict[Endpoint, Row])
    limits: Limits = field(default_factory=Limits)
    alerts: Alerts = field(default_factory=Alerts)
    put_on: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Every price list it was put on and from when, oldest first; what was replaced is gone."""

    # Which price list

    def price_list(self, at_us: int) -> str:
        """Name the price list that it pays by at a moment: empty for the default list."""
        return next((name for since, name in reversed(self.put_on) if since <= at_us), "")

    def put_on_list(self, name: str, since_us: int) -> None:
        """Put it on a price list, in place of all that was to begin then or later."""
        self.put_on = [each for each in self.put_on if each[0] < since_us]
        self.put_on.append((since_us, name))

    def changes_of_list(self) -> list[tuple[int, str]]:
        """Leave out what it was put on while it was on that very list."""
        changes = [(0, ""), *self.put_on]
        return [each for before, each in itertools.pairwise(changes) if each[1] != before[1]]

    def pricing(self, now_us: int) -> Row:
        """Show on which list it is, since when (None: ever), and the changes to come."""
        changes = self.changes_of_list()
        begun = [each for each in changes if each[0] <= now_us]
        return {
            "price_list": begun[-1][1] if begun else "",
            "price_list_since": begun[-1][0] if begun else None,
            "price_lists_to_come": [each for each in changes if each[0] > now_us],
        }

    recurring: list[Recurring] = field(default_factory=list[Recurring])

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

    def answer(self, now_us: int) -> Row:
        """Show what account calls answer with."""
        return self.answer_of_all_times() | self.pricing(now_us)

    def answer_of_all_times(self) -> Row:
        """Show what of it needs no moment."""
        return {
            "account_id": self.id,
            "display_name": self.display_name,
            "state": self.state,
            "credit_limit": self.credit_limit,
            "create_us": self.create_us,
            "balance": self.balance(),
            "limits": [
                {name: value for name, value in limit.items() if name != "id"}
                for limit in self.limits.all
            ],
            "recurring": [each.row() for each in self.recurring],
            "alerts": [{name: rule[name] for name in SHOWN} for rule in self.alerts.all],
        }

    def rows(self) -> Row:
        """Show all of the account."""
        committed = [hold for hold in self._ever() if hold.state == "COMMITTED"]
        counted = {key: row for key, row in self.usage.items() if row != no_usage()}
        return self.answer_of_all_times() | {
            "last_price_list": self.changes_of_list()[-1:],
            "lifetime_credits": sum(hold.price.credits - hold.refunded for hold in committed),
            "owed": self.owed,
            "grants": [grant.row() for grant in self.in_burn_order()],
            "reservations": [hold.row() for hold in self.holds.values()],
            "entries": copy.deepcopy(self.entries),
            "usage": copy.deepcopy(counted),
            "limit_ids": [limit["id"] for limit in self.limits.all],
            "windows": copy.deepcopy(self.limits.windows),
            "rules": [
                {name: rule[name] for name in ("id", "begin", "end", "consumed", "met")}
                for rule in self.alerts.all
            ],
            "events": copy.deepcopy(self.alerts.events),
        }

    def look(self, now_us: int) -> None:
        """Look at the alert rules after a change."""
        self.alerts.look(self.entries, self.limits, now_us)

    # What is due

    def do_what_is_due(self, now_us: int, *, look: bool = True) -> None:
        """Do what is due on the grants and end the overdue holds, each a change of its own."""
        before = len(self.entries)
        self.do_due(now_us)
        ended = self.end_overdue(now_us, look=look)
        if look and not ended and len(self.entries) > before:
            self.look(now_us)

    def do_due(self, now_us: int) -> None:
        """Grant the periods that have begun, one beginning after the other, and expire what is due."""
        while (
            at_us := min((each.to_come() for each in self.recurring), default=now_us + 1)
        ) <= now_us:
            beginning = [each for each in self.recurring if each.to_come() == at_us]
            left = [self._left_of_last_period(each) for each in beginning]
            self.expire_grants(at_us, now_us)
            for recurring, credits_ in zip(beginning, left, strict=True):
                self._begin_period(recurring, credits_, now_us)
        self.expire_grants(now_us, now_us)

    def _left_of_last_period(self, recurring: Recurring) -> int:
        ended = [
            grant
            for grant in self.grants.values()
            if grant.of == recurring.number and grant.expires_us == recurring.next_us
        ]
        return sum(grant.remaining for grant in ended)

    def _begin_period(self, recurring: Recurring, left: int, now_us: int) -> None:
        """Give the credits of a period, and so much of what was left as may roll over."""
        begin_us = max(recurring.next_us, recurring.create_us)
        ids = [recurring.own_id(rolled_over=each) for each in (False, True)]
        recurring.step()
        recurring.granted += 1
        for own_id, credits_ in zip(
            ids, (recurring.credits, min(left, recurring.rollover_max)), strict=True
        ):
            if credits_:
                row = (own_id, credits_, recurring.priority, recurring.next_us, begin_us)
                grant = Grant(*row, recurring.note, "", remaining=credits_, of=recurring.number)
                self.give(grant, now_us)

    def expire_grants(self, until_us: int, now_us: int) -> None:
        """Expire what overdue grants have left, and void what void ones have; nothing has no entry."""
        for grant in self.in_burn_order():
            if not grant.is_open(until_us) and grant.remaining:
                self._expire(grant, grant.remaining, now_us)
                grant.remaining = 0

    def end_overdue(self, now_us: int, *, look: bool = True) -> bool:
        """End every overdue hold, the earliest deadline first, each a change; whether there was one."""
        ended = False
        for hold in sorted(self.holds.values(), key=lambda hold: (hold.expire_us, hold.id)):
            if self.end_if_overdue(hold, now_us):
                ended = True
                if look:
                    self.look(now_us)
        return ended

    def end_if_overdue(self, hold: Hold, now_us: int) -> bool:
        """End a hold at or past its deadline, counted in the hour of the deadline."""
        if hold.state != "HELD" or now_us < hold.expire_us:
            return False
        hold.state, hold.settled_us = "EXPIRED", now_us
        self.count(hold.expire_us, hold.price, "expired")
        self.limits.move(hold.windows, "held", -1)
        self._give_back(hold, now_us)
        return True

    def move_out(self, now_us: int, *, retention_us: int, late_window_us: int) -> list[int]:
        """Put away what ended so long ago, and forget the windows in which nothing else counts; say what."""
        gone = [
            own_id
            for own_id, hold in self.holds.items()
            if hold.state != "HELD" and hold.over_us(late_window_us) + retention_us <= now_us
        ]
        self.past |= {own_id: self.holds.pop(own_id) for own_id in gone}
        forgotten = self.limits.forget(
            [hold.counts() for hold in self.holds.values()], now_us - retention_us
        )
        for hold in self.past.values():
            hold.windows = [each for each in hold.windows if each[:2] not in forgotten]
        return gone

    def _ever(self) -> list[Hold]:
        return [*self.past.values(), *self.holds.values()]

    # What is asked for

    def give(self, grant: Grant, now_us: int) -> None:
        """Add a grant, which first repays what is owed."""
        self.grants[grant.id] = grant
        self._enter(now_us, "GRANT", grant.credits, grant=grant, note=grant.note)
        self._repay(grant.create_us)  # a period that is over by now was not when it began

    def hold(self, hold: Hold, hold_id: int, now_us: int) -> None:
        """Set the price aside from the open grants, and the rest from the credit line."""
        hold.id = hold_id
        hold.slices = self._take(hold.price.credits, now_us)
        for grant, part in self._parts(hold):
            grant.held += part
        self.holds[hold_id] = hold
        hold.windows = self.limits.hold(hold.price, now_us)

    def release(self, hold: Hold, outcome: str, now_us: int) -> None:
        """Settle a hold by giving it back."""
        hold.state, hold.outcome, hold.settled_us = "RELEASED", outcome, now_us
        self.count(now_us, hold.price, "released", outcome)
        self.limits.move(hold.windows, "held", -1)
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
        self.limits.move(hold.windows, "used", 1)
        if not late:
            self.limits.move(hold.windows, "held", -1)
        hold.state, hold.outcome, hold.late, hold.settled_us = "COMMITTED", VALID, late, now_us
        self._enter(now_us, "LATE_CHARGE" if late else "CHARGE", -hold.price.credits, charged=hold)
        hold.charge_sequence = len(self.entries)
        self.count(now_us, hold.price, "requests")
        self.count(now_us, hold.price, "credits", hold.price.credits)
        self._repay(now_us)

    def debit(self, credits_: int, note: str, now_us: int) -> None:
        """Take credits back that may have been spent: owed, and repaid from what is free."""
        self.shortfall_allowed = True
        self._enter(now_us, "DEBIT", -credits_, note=note)
        self.owed += credits_
        self._repay(now_us)

    def void(self, grant: Grant, note: str, now_us: int) -> None:
        """Take back what a grant has left, and what comes back to it later."""
        grant.void = True
        left, grant.remaining = grant.remaining, 0
        if left:
            self._expire(grant, left, now_us, note)

    def remaining_of(self, grant_id: int) -> int:
        """Tell what a grant has left; nothing, where there is no such grant."""
        return self.grants[grant_id].remaining if grant_id in self.grants else 0

    def take_back(self, grant_id: int, part: int, note: str, now_us: int) -> None:
        """Take back a part of what a grant has left; it is not void by that."""
        if part:
            grant = self.grants[grant_id]
            grant.remaining -= part
            grant.voided += part
            self._enter(now_us, "GRANT_VOIDED", -part, grant=grant, note=note)

    def refund(self, hold: Hold, credits_: int, note: str, now_us: int) -> list[tuple[Grant, int]]:
        """Give back a part of a charge, the last payer's first; what expires or is voided on the way."""
        first, last, begin, elsewhere = hold.refunded, hold.refunded + credits_, 0, 0
        for grant_id, paid in reversed(hold.slices):
            part = max(0, min(begin + paid, last) - max(begin, first))
            begin += paid
            grant = self.grants[grant_id] if grant_id else None
            elsewhere += part - (self._unconsume(grant, part) if grant else 0)
        forgiven = min(self.owed, elsewhere)
        self.owed -= forgiven
        elsewhere -= forgiven
        for grant in reversed(self.in_burn_order()):
            elsewhere -= self._unconsume(grant, elsewhere)
        hold.refunded += credits_
        self._enter(now_us, "REFUND", credits_, charged=hold, note=note)
        self.count(now_us, hold.price, "refunds")
        self.count(now_us, hold.price, "refunded_credits", credits_)
        gone = [
            (grant, grant.remaining)
            for grant in self.in_burn_order()
            if not grant.is_open(now_us) and grant.remaining
        ]
        self.expire_grants(now_us, now_us)
        self._repay(now_us)
        return gone

    def refund_as_grant(self, hold: Hold, grant: Grant, now_us: int) -> None:
        """Give back a part of a charge of the past as a new grant, which first repays what is owed."""
        self.grants[grant.id] = grant
        hold.refunded += grant.credits
        self._enter(now_us, "REFUND", grant.credits, grant=grant, charged=hold, note=grant.note)
        self.count(now_us, hold.price, "refunds")
        self.count(now_us, hold.price, "refunded_credits", grant.credits)
        self._repay(now_us)

    def count(self, at_us: int, price: Price | None, what: str, by: int | str = 1) -> None:
        """Add to the endpoint's counter of the quarter; a string names an outcome or a reason."""
        method, path = (price.method, price.path) if price else ("*", "/**")
        counters = self.usage.setdefault((at_us - at_us % QUARTER_US, method, path), no_usage())
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

    def _expire(self, grant: Grant, part: int, now_us: int, note: str = "") -> None:
        if grant.void:
            grant.voided += part
        else:
            grant.expired += part
        kind = "GRANT_VOIDED" if grant.void else "GRANT_EXPIRED"
        self._enter(now_us, kind, -part, grant=grant, note=note)

    def _unconsume(self, grant: Grant, part: int) -> int:
        back = min(part, grant.consumed)
        grant.consumed -= back
        grant.remaining += back
        return back

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
        note: str = "",
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
                "note": note,
            }
        )

    # What must always hold

    def check(self) -> None:
        """Assert what must always hold of the account."""
        self._check_money()
        self._check_journal()
        self._check_usage()
        self._check_windows()

    def _check_windows(self) -> None:
        told: dict[tuple[int, int], Row] = {}
        for hold in self._ever():
            for window, counts in hold.counts().items():
                now = told.setdefault(window, {"used": 0, "held": 0, "over": 0})
                for what, amount in counts.items():
                    now[what] += amount
        for window in {*told, *self.limits.windows}:
            nothing = {"used": 0, "held": 0, "over": 0}
            assert told.get(window, nothing) == self.limits.windows.get(window, nothing)

    def _check_money(self) -> None:
        balance, grants = self.balance(), self.grants.values()
        assert balance["settled"] == sum(entry["credits"] for entry in self.entries)
        assert balance["settled"] == sum(g.remaining + g.held for g in grants) - self.owed
        assert balance["available"] >= 0 or self.shortfall_allowed
        assert self.owed >= 0
        self._check_spent()
        assert self.owed == 0 or all(grant.remaining == 0 for grant in grants)
        held = [pair for h in self.holds.values() if h.state == "HELD" for pair in self._parts(h)]
        for grant in grants:
            parts = (grant.remaining, grant.held, grant.consumed, grant.expired, grant.voided)
            assert min(parts) >= 0
            assert sum(parts) == grant.credits
            assert grant.held == sum(part for holder, part in held if holder is grant)
        for hold in self._ever():
            assert sum(part for _, part in hold.slices) == hold.price.credits

    def _check_spent(self) -> None:
        """Assert that what was consumed or is owed is what was charged, less refunds, and what was debited.

        A refund that came as a new grant has given, and taken back nothing.
        """
        spent = {"CHARGE", "LATE_CHARGE", "REFUND", "DEBIT"}
        taken = -sum(
            entry["credits"]
            for entry in self.entries
            if entry["kind"] in spent and not (entry["kind"] == "REFUND" and entry["grant"])
        )
        assert sum(grant.consumed for grant in self.grants.values()) + self.owed == taken

    def _check_journal(self) -> None:
        settled = 0
        for sequence, entry in enumerate(self.entries, start=1):
            settled += entry["credits"]
            assert (entry["sequence"], entry["settled"]) == (sequence, settled)
        for hold in self._ever():
            ours = [entry for entry in self.entries if entry["reservation"] == hold.id]
            charges = [entry["credits"] for entry in ours if entry["kind"] != "REFUND"]
            assert charges == ([-hold.price.credits] if hold.state == "COMMITTED" else [])
            refunds = [entry["credits"] for entry in ours if entry["kind"] == "REFUND"]
            assert sum(refunds) == hold.refunded <= hold.price.credits

    def _check_usage(self) -> None:
        told = Account(self.id, "", 0, 0)
        for hold in self._ever():
            if hold.state == "COMMITTED":
                told.count(hold.settled_us, hold.price, "requests")
                told.count(hold.settled_us, hold.price, "credits", hold.price.credits)
            elif hold.state == "RELEASED":
                told.count(hold.settled_us, hold.price, "released", hold.outcome or "")
            elif hold.state == "EXPIRED":
                told.count(hold.expire_us, hold.price, "expired")
        for entry in self.entries:
            if entry["kind"] == "REFUND":
                price = (self.past | self.holds)[entry["reservation"]].price
                told.count(entry["create_us"], price, "refunds")
                told.count(entry["create_us"], price, "refunded_credits", entry["credits"])
        for endpoint, row in copy.deepcopy(self.usage).items():
            row["denied"].clear()
            row["free"] = 0
            assert row == told.usage.pop(endpoint, no_usage())
        assert not told.usage


def no_usage() -> Row:
    """Count nothing: what a counter begins with."""
    nothing: Row = {"requests": 0, "credits": 0, "released": {}, "expired": 0, "denied": {}}
    return nothing | {"refunds": 0, "refunded_credits": 0, "free": 0}
