"""The reference model: the ledger's rules in plain dictionaries and ints, without a clock.

A second, independent form of docs/reference/rules.md that the server's replies are checked against, to be
read as a specification: this file decides (`model_admin` and `model_plans` for operators), `model_account` moves
the credits, `model_paths` finds the price, `model_fields` tells which fields are good,
`model_limits` counts in windows.

Nothing here is fast: an operation works on a copy of its account and puts the copy in place where
it changed something, so that what is refused, denied or dry leaves every row as it was.
"""

import copy

from tests.support.model.account import VALID, Account, Hold, Row
from tests.support.model.explain import life_of
from tests.support.model.fields import (
    ModelError,
    classify,
    refuse,
    refuse_bad_fields,
    refuse_other_content,
)
from tests.support.model.paths import Price, content, quote
from tests.support.model.plans import PlanModel

__all__ = ["Model", "ModelError"]

Refusal = tuple[str, str, int | None]
"""Why, by which limit, and for how long."""

NO_PRICES: Row = {"version": 0, "prices": [], "unlisted": "free", "name": ""}

DENIAL_STATUS = {
    "ACCOUNT_NOT_FOUND": 403,
    "ACCOUNT_BLOCKED": 403,
    "ENDPOINT_NOT_LISTED": 404,
    "LIMIT_EXCEEDED": 429,
    "INSUFFICIENT_CREDITS": 402,
}


class Model(PlanModel):
    """The ledger. Every call takes its moment, answers with a plain dict or raises ModelError."""

    def prices_of(self, account_id: str, at_us: int) -> Row:
        """Find the list that an account pays by at a moment; the default list where there is no account."""
        account = self._accounts.get(account_id)
        name = account.price_list(at_us) if account else ""
        return self.prices_in_force(at_us, name) or NO_PRICES

    def pays_by(self, account_id: str, now_us: int) -> list[tuple[int, int]]:
        """List the versions that an account pays by, now and at every later change, and from when on."""
        found: list[tuple[int, int]] = []
        changes = self._accounts[account_id].put_on
        moments = {since_us for since_us, _ in changes}
        moments |= {prices["effective_us"] for prices in self.price_lists}
        for at_us in sorted({0, *moments, now_us}):
            version = self.prices_of(account_id, at_us)["version"]
            if not found or found[-1][1] != version:
                found.append((at_us, version))
        begun = [each for each in found if each[0] <= now_us]
        return [begun[-1], *found[len(begun) :]]

    # Holds

    def authorize(
        self,
        now_us: int,
        account_id: str,
        method: str,
        path: str,
        *,
        request_id: str,
        hold_us: int | None = None,
        dry_run: bool = False,
        caller: str = "",
    ) -> Row:
        """Hold the whole price or nothing; the first denial in the documented order is given."""
        given: Row = {"method": method, "path": path, "hold": hold_us}
        too_long = hold_us is not None and hold_us > self.hold_max_us
        named: Row = {"account_id": account_id, "request_id": request_id}
        refuse_bad_fields(named | given, also_bad=["hold"] if too_long else [])
        given["path"] = content(path)
        in_force = self.prices_of(account_id, now_us)
        quoted = quote(
            in_force["prices"],
            unlisted_denied=in_force["unlisted"] == "denied",
            method=method,
            path=path,
        )
        price = quoted if isinstance(quoted, Price) else None
        if account_id not in self._accounts:
            return _denied("ACCOUNT_NOT_FOUND", price, None)

        account = self._touched(account_id, now_us)
        known = [hold for hold in account.holds.values() if hold.request_id == request_id]
        if known:
            refuse_other_content(known[0].content, given)
            ended = account.end_if_overdue(known[0], now_us)
            self._keep(account, now_us, changed=ended and not dry_run)
            return _reserved(account, known[0].answer(), replayed=True)

        refusal, ended = _refusal(account, quoted, now_us)
        if refusal is not None:
            self._keep(account, now_us, changed=ended and not dry_run)
            if not dry_run:
                self._accounts[account_id].count(now_us, price, "denied", refusal[0])
            return _denied(refusal[0], price, account.balance(), *refusal[1:])
        if price is None:  # free: nothing is held, and nothing is to be committed
            if not dry_run:
                self._accounts[account_id].count(now_us, None, "free")
            free: Row = {"reservation_id": None, "credits": 0, "price_version": 0, "state": None}
            return _reserved(account, free | {"create_us": None, "expire_us": None})

        expire_us = now_us + (self.hold_default_us if hold_us is None else hold_us)
        version = in_force["version"]
        hold = Hold(None, request_id, given, price, version, now_us, expire_us, caller)
        if not dry_run:
            own_id = self._next_id()
            account.hold(hold, own_id, now_us)
            self._account_of_hold[own_id] = account_id
        self._keep(account, now_us, changed=not dry_run)
        return _reserved(account, hold.answer())

    def commit(
        self,
        now_us: int,
        reservation_id: int,
        *,
        http_status: int | None = None,
        outcome: str | None = None,
        caller: str = "",
    ) -> Row:
        """Settle a hold by how its request ended: charge a valid response, give back any other."""
        if http_status is None:
            refuse_bad_fields({"outcome": outcome or ""})
            return self._settle(now_us, reservation_id, outcome or "", "outcome", (0, caller))
        refuse_bad_fields({"http_status": http_status})
        price = self._account_holding(reservation_id).holds[reservation_id].price
        outcome, how = classify(http_status, price), (http_status, caller)
        return self._settle(now_us, reservation_id, outcome, "http_status", how)

    def release(
        self, now_us: int, reservation_id: int, *, outcome: str | None = None, caller: str = ""
    ) -> Row:
        """Give a hold back."""
        if outcome == VALID:
            refuse("INVALID_FIELD", "outcome")
        refuse_bad_fields({"outcome": outcome})
        return self._settle(now_us, reservation_id, outcome or "CANCELLED", "outcome", (0, caller))

    def extend(self, now_us: int, reservation_id: int, *, hold_us: int | None = None) -> Row:
        """Let an open hold last so long from now, up to its longest life, and never shorter than it does."""
        too_long = hold_us is not None and hold_us > self.hold_max_us
        refuse_bad_fields({"hold": hold_us}, also_bad=["hold"] if too_long else [])
        account = self._touched(self._account_holding(reservation_id).id, now_us)
        hold = account.holds[reservation_id]
        if hold.state in {"COMMITTED", "RELEASED"}:
            refuse(f"ALREADY_{hold.state}")
        if hold.state == "EXPIRED" or hold.expire_us <= now_us:
            refuse("RESERVATION_EXPIRED")
        wanted_us = now_us + (self.hold_default_us if hold_us is None else hold_us)
        deadlines = [hold.expire_us, min(wanted_us, hold.create_us + self.hold_total_max_us)]
        longer = deadlines[1] > deadlines[0]
        hold.expire_us = max(deadlines)
        self._keep(account, now_us, changed=longer)
        return {"expire_us": hold.expire_us, "balance": account.balance()}

    def _settle(
        self,
        now_us: int,
        reservation_id: int,
        outcome: str,
        given_as: str,
        how: tuple[int, str],
    ) -> Row:
        account = self._touched(self._account_holding(reservation_id).id, now_us)
        hold = account.holds[reservation_id]
        if hold.state in {"COMMITTED", "RELEASED"}:
            _refuse_other_end(hold, outcome, given_as)
            return _settled(account, hold, outcome, replayed=True)

        ended = account.end_if_overdue(hold, now_us)
        expired = hold.state == "EXPIRED"
        if outcome == VALID:
            if expired and now_us >= hold.expire_us + self.late_window_us:
                refuse("RESERVATION_EXPIRED")
            account.charge(hold, now_us)
            hold.http_status, hold.settled_by = how
        elif not expired:
            account.release(hold, outcome, now_us)
            hold.http_status, hold.settled_by = how
        self._keep(account, now_us, changed=ended or not expired or outcome == VALID)
        return _settled(account, hold, outcome, replayed=False)

    def sweep(self, now_us: int) -> None:
        """Do everything that is due: expire the overdue grants and end the overdue holds."""
        for account in self._accounts.values():
            account.do_what_is_due(now_us)

    def move_out(self, now_us: int) -> None:
        """Put away the reservations that ended so long ago: no call finds them any more."""
        for account in self._accounts.values():
            for own_id in account.move_out(
                now_us, retention_us=self.retention_us, late_window_us=self.late_window_us
            ):
                del self._account_of_hold[own_id]

    # What can be seen, and what must always hold

    def state(self, now_us: int) -> dict[str, Row]:
        """Show each account as a read does: as if everything due had been done."""
        seen = copy.deepcopy(self)
        shown: dict[str, Row] = {}
        for account in seen._accounts.values():
            account.do_what_is_due(now_us, look=False)  # what is merely due has met no rule yet
            alerts = account.alerts.status(account.entries, account.limits, now_us)
            status = {"limit_status": account.limits.status(now_us), "alert_status": alerts}
            shown[account.id] = account.rows() | account.pricing(now_us) | status
        return shown

    def explain(self, now_us: int, reservation_id: int) -> Row:
        """Tell the whole life of a reservation, as a read does: as if everything due had been done."""
        seen = copy.deepcopy(self)
        seen.sweep(now_us)
        account = seen._account_holding(reservation_id)
        hold = account.holds[reservation_id]
        return life_of(account, hold, self.price_lists[hold.price_version - 1])

    def gone(self) -> list[tuple[str, int, list[Row]]]:
        """List what was moved out: its account, its id, and what the journal keeps of it."""
        return [
            (account.id, own_id, [row for row in account.entries if row["reservation"] == own_id])
            for account in self._accounts.values()
            for own_id in account.past
        ]

    def rows(self) -> dict[str, Row]:
        """Show each account as it is recorded, with nothing done that is merely due."""
        return {account.id: account.rows() for account in self._accounts.values()}

    def check(self) -> None:
        """Assert what must always hold."""
        for account in self._accounts.values():
            account.check()


# Decisions


def _refusal(account: Account, quoted: Price | str, now_us: int) -> tuple[Refusal | None, bool]:
    """Find why Authorize refuses, if it does, and whether overdue holds were ended to tell."""
    if account.state != "ACTIVE":
        return ("ACCOUNT_BLOCKED", "", None), False
    if not isinstance(quoted, Price):
        return (("ENDPOINT_NOT_LISTED", "", None) if quoted == "denied" else None), False
    first = _want(account, quoted, now_us)
    if first is None:
        return None, False
    # Holds of nothing give nothing back: to end them can wait for the sweeper.
    by_limit = first[0] == "LIMIT_EXCEEDED"
    holds = account.limits.holds_any(now_us) if by_limit else account.balance()["held"] > 0
    ended = holds and account.end_overdue(now_us)
    return _want(account, quoted, now_us), ended


def _want(account: Account, price: Price, now_us: int) -> Refusal | None:
    exceeded = account.limits.refusal(price, now_us)
    if exceeded is not None:
        return ("LIMIT_EXCEEDED", *exceeded)
    enough = price.credits <= account.balance()["available"]
    return None if enough else ("INSUFFICIENT_CREDITS", "", None)


def _refuse_other_end(hold: Hold, outcome: str, given_as: str) -> None:
    if hold.state == "COMMITTED" and outcome != VALID:
        refuse("ALREADY_COMMITTED")
    if hold.state == "RELEASED" and outcome == VALID:
        refuse("ALREADY_RELEASED")
    if outcome != hold.outcome:
        refuse("IDEMPOTENCY_KEY_REUSED", given_as)


# Answers


def _denied(
    reason: str,
    price: Price | None,
    balance: dict[str, int] | None,
    limit: str = "",
    retry_after_us: int | None = None,
) -> Row:
    return {
        "limit": limit,
        "retry_after_us": retry_after_us,
        "decision": "denied",
        "reason": reason,
        "credits": price.credits if price else 0,
        "http_status": DENIAL_STATUS[reason],
        "balance": balance,
        "replayed": False,
    }


def _reserved(account: Account, reservation: Row, *, replayed: bool = False) -> Row:
    answer: Row = {"decision": "reserved", "balance": account.balance(), "replayed": replayed}
    return answer | reservation


def _settled(account: Account, hold: Hold, outcome: str, *, replayed: bool) -> Row:
    return {
        "state": hold.state,
        "outcome": outcome,
        "credits": hold.price.credits if hold.state == "COMMITTED" else 0,
        "balance": account.balance(),
        "late": hold.late or hold.state == "EXPIRED",
        "replayed": replayed,
    }
