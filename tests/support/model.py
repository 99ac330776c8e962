"""The reference model: the ledger's rules in plain dictionaries and ints, without a clock.

A second, independent form of docs/rules.md that the server's replies are checked against, to be
read as a specification: this file decides, `model_account` moves the credits, `model_paths` finds
the price, `model_fields` tells which fields are good. It knows no limits, voiding or refunds.

Nothing here is fast: an operation works on a copy of its account and puts the copy in place where
it changed something, so that what is refused, denied or dry leaves every row as it was.
"""

import copy

from tests.support.model_account import HOUR_US, VALID, Account, Grant, Hold, Row
from tests.support.model_fields import (
    DENIAL_STATUS,
    SECOND_US,
    SETTLED_MAX,
    ModelError,
    classify,
    refuse,
    refuse_bad_fields,
    refuse_other_content,
)
from tests.support.model_paths import Price, content, quote

__all__ = ["Model", "ModelError"]

NO_PRICES: Row = {"version": 0, "prices": [], "unlisted": "free"}


class Model:
    """The ledger. Every call takes its moment, answers with a plain dict or raises ModelError."""

    def __init__(
        self,
        *,
        hold_default_us: int = 60 * SECOND_US,
        hold_max_us: int = 24 * HOUR_US,
        late_window_us: int = 24 * HOUR_US,
    ) -> None:
        """Start with no account, no price list and these settings."""
        self.hold_default_us = hold_default_us
        self.hold_max_us = hold_max_us
        self.late_window_us = late_window_us
        self.price_lists: list[Row] = []  # the oldest first
        self._accounts: dict[str, Account] = {}
        self._account_of_hold: dict[int, str] = {}
        self._granted: dict[int, Row] = {}  # every grant as it was given
        self._keys: dict[str, tuple[str, Row, int]] = {}  # call, content, what it made
        self._ids_made = 0

    # Accounts, grants and prices: the fields, the key, the account, the rest

    def create_account(
        self,
        now_us: int,
        account_id: str,
        *,
        request_id: str,
        credit_limit: int = 0,
        display_name: str = "",
    ) -> Row:
        """Create an account that starts at zero."""
        given: Row = {
            "account_id": account_id,
            "display_name": display_name,
            "credit_limit": credit_limit,
        }
        if self._made_before("create_account", request_id, given) is not None:
            return self._touched(account_id, now_us).answer() | {"replayed": True}
        if account_id in self._accounts:
            refuse("ACCOUNT_EXISTS")

        account = Account(account_id, display_name, credit_limit, now_us)
        self._accounts[account_id] = account
        self._keys[request_id] = ("create_account", given, 0)
        return account.answer() | {"replayed": False}

    def update_account(
        self,
        now_us: int,
        account_id: str,
        *,
        request_id: str,
        display_name: str | None = None,
        state: str | None = None,
        credit_limit: int | None = None,
    ) -> Row:
        """Change what is given; closing needs an account without balance and without holds."""
        given: Row = {
            "account_id": account_id,
            "display_name": display_name,
            "state": state,
            "credit_limit": credit_limit,
        }
        if self._made_before("update_account", request_id, given) is not None:
            return self._touched(account_id, now_us).answer() | {"replayed": True}
        account = self._touched(account_id, now_us)
        balance = account.balance()
        if state == "CLOSED" and (balance["settled"] != 0 or balance["held"] != 0):
            refuse("ACCOUNT_NOT_EMPTY")

        if display_name is not None:
            account.display_name = display_name
        if credit_limit is not None:
            account.shortfall_allowed |= credit_limit < account.credit_limit
            account.credit_limit = credit_limit
        account.state = state or account.state
        self._accounts[account_id] = account
        self._keys[request_id] = ("update_account", given, 0)
        return account.answer() | {"replayed": False}

    def grant(
        self,
        now_us: int,
        account_id: str,
        *,
        credits: int,
        request_id: str,
        priority: int = 0,
        expires_us: int | None = None,
        note: str = "",
        grant_id: str = "",
    ) -> Row:
        """Give credits; `grant_id`, the server's id, only breaks ties of the burn order."""
        given: Row = {
            "account_id": account_id,
            "credits": credits,
            "priority": priority,
            "expire_time": expires_us,
            "note": note,
        }
        own_id = self._made_before("grant", request_id, given)
        if own_id is not None:
            balance = self._touched(account_id, now_us).balance()
            return {"grant": self._granted[own_id], "balance": balance, "replayed": True}
        # After the key, so that a grant can still be repeated when it has expired.
        if expires_us is not None and expires_us <= now_us:
            refuse("INVALID_FIELD", "expire_time")
        account = self._touched(account_id, now_us)
        if account.balance()["settled"] + credits > SETTLED_MAX:
            refuse("INVALID_FIELD", "credits")

        own_id = self._next_id()
        row = (own_id, credits, priority, expires_us, now_us, note, grant_id)
        account.give(Grant(*row, remaining=credits), now_us)
        self._accounts[account_id] = account
        self._keys[request_id] = ("grant", given, own_id)
        self._granted[own_id] = account.grants[own_id].row()
        return {
            "grant": self._granted[own_id],
            "balance": account.balance(),
            "replayed": False,
        }

    def publish(
        self,
        now_us: int,
        *,
        prices: list[Row],
        request_id: str,
        unlisted: str = "free",
        effective_us: int | None = None,
        note: str = "",
    ) -> Row:
        """Publish a whole price list (dicts of method, path, credits, charge_on, note)."""
        given: Row = {
            "effective_time": effective_us,
            "prices": [Price.of(price) for price in prices],
            "unlisted": unlisted,
            "note": note,
        }
        version = self._made_before("publish", request_id, given)
        if version is not None:
            return self.price_lists[version - 1] | {"replayed": True}
        if effective_us is not None and effective_us < now_us:
            refuse("PRICES_BACKDATED", "effective_time")

        version = len(self.price_lists) + 1
        begins_us = now_us if effective_us is None else effective_us
        listed = {"version": version, "effective_us": begins_us, "prices": given["prices"]}
        self.price_lists.append(listed | {"unlisted": unlisted, "note": note})
        self._keys[request_id] = ("publish", given, version)
        return self.price_lists[-1] | {"replayed": False}

    def prices_in_force(self, now_us: int) -> Row:
        """Find the list with the greatest effective time not after now; of equals, the later."""
        begun = [prices for prices in self.price_lists if prices["effective_us"] <= now_us]
        return max(begun, key=lambda p: (p["effective_us"], p["version"]), default=NO_PRICES)

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
    ) -> Row:
        """Hold the whole price or nothing; the first denial in the documented order is given."""
        given: Row = {"method": method, "path": path, "hold": hold_us}
        too_long = hold_us is not None and hold_us > self.hold_max_us
        named: Row = {"account_id": account_id, "request_id": request_id}
        refuse_bad_fields(named | given, also_bad=["hold"] if too_long else [])
        given["path"] = content(path)
        in_force = self.prices_in_force(now_us)
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
            self._keep(account, changed=ended and not dry_run)
            return _reserved(account, known[0].answer(), replayed=True)

        reason, ended = _refusal(account, quoted, now_us)
        if reason is not None:
            self._keep(account, changed=ended and not dry_run)
            if not dry_run:
                self._accounts[account_id].count(now_us, price, "denied", reason)
            return _denied(reason, price, account.balance())
        if price is None:  # free: nothing is held, and nothing is to be committed
            free: Row = {"reservation_id": None, "credits": 0, "price_version": 0, "state": None}
            return _reserved(account, free | {"create_us": None, "expire_us": None})

        expire_us = now_us + (self.hold_default_us if hold_us is None else hold_us)
        version = in_force["version"]
        hold = Hold(None, request_id, given, price, version, now_us, expire_us)
        if not dry_run:
            own_id = self._next_id()
            account.hold(hold, own_id, now_us)
            self._account_of_hold[own_id] = account_id
        self._keep(account, changed=not dry_run)
        return _reserved(account, hold.answer())

    def commit(
        self,
        now_us: int,
        reservation_id: int,
        *,
        http_status: int | None = None,
        outcome: str | None = None,
    ) -> Row:
        """Settle a hold by how its request ended: charge a valid response, give back any other."""
        if http_status is None:
            refuse_bad_fields({"outcome": outcome or ""})
            return self._settle(now_us, reservation_id, outcome or "", "outcome")
        refuse_bad_fields({"http_status": http_status})
        price = self._account_holding(reservation_id).holds[reservation_id].price
        return self._settle(now_us, reservation_id, classify(http_status, price), "http_status")

    def release(self, now_us: int, reservation_id: int, *, outcome: str | None = None) -> Row:
        """Give a hold back."""
        if outcome == VALID:
            refuse("INVALID_FIELD", "outcome")
        refuse_bad_fields({"outcome": outcome})
        return self._settle(now_us, reservation_id, outcome or "CANCELLED", "outcome")

    def _settle(self, now_us: int, reservation_id: int, outcome: str, given_as: str) -> Row:
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
        elif not expired:
            account.release(hold, outcome, now_us)
        self._keep(account, changed=ended or not expired or outcome == VALID)
        return _settled(account, hold, outcome, replayed=False)

    def sweep(self, now_us: int) -> None:
        """Do everything that is due: expire the overdue grants and end the overdue holds."""
        for account in self._accounts.values():
            account.expire_grants(now_us)
            account.end_overdue(now_us)

    # What can be seen, and what must always hold

    def state(self, now_us: int) -> dict[str, Row]:
        """Show each account as a read does: as if everything due had been done."""
        seen = copy.deepcopy(self)
        seen.sweep(now_us)
        return seen.rows()

    def rows(self) -> dict[str, Row]:
        """Show each account as it is recorded, with nothing done that is merely due."""
        return {account.id: account.rows() for account in self._accounts.values()}

    def keys(self) -> dict[str, str]:
        """Show the admin calls that are recorded: by request_id, which method it was."""
        return {request_id: call for request_id, (call, _, _) in self._keys.items()}

    def check(self) -> None:
        """Assert what must always hold."""
        for account in self._accounts.values():
            account.check()

    # Parts of several calls

    def _made_before(self, call: str, request_id: str, given: Row) -> int | None:
        """Refuse bad fields and altered content; what the call with this key made, if any did."""
        refuse_bad_fields(given | {"request_id": request_id})
        if request_id not in self._keys:
            return None
        first_call, first, made = self._keys[request_id]
        if first_call != call:
            refuse("IDEMPOTENCY_KEY_REUSED", "request_id")
        refuse_other_content(first, given)
        return made

    def _touched(self, account_id: str, now_us: int) -> Account:
        """Copy the account to work on, and expire its due grants."""
        if account_id not in self._accounts:
            refuse("ACCOUNT_NOT_FOUND")
        account = copy.deepcopy(self._accounts[account_id])
        account.expire_grants(now_us)
        return account

    def _keep(self, account: Account, *, changed: bool) -> None:
        if changed:
            self._accounts[account.id] = account

    def _account_holding(self, reservation_id: int) -> Account:
        if reservation_id not in self._account_of_hold:
            refuse("RESERVATION_NOT_FOUND")
        return self._accounts[self._account_of_hold[reservation_id]]

    def _next_id(self) -> int:
        self._ids_made += 1
        return self._ids_made


# Decisions


def _refusal(account: Account, quoted: Price | str, now_us: int) -> tuple[str | None, bool]:
    """Find why Authorize refuses, if it does, and whether overdue holds were ended to tell."""
    if account.state != "ACTIVE":
        return "ACCOUNT_BLOCKED", False
    if not isinstance(quoted, Price):
        return ("ENDPOINT_NOT_LISTED" if quoted == "denied" else None), False
    if quoted.credits <= account.balance()["available"]:
        return None, False
    # Holds of nothing give nothing back: to end them can wait for the sweeper.
    ended = account.balance()["held"] > 0 and account.end_overdue(now_us)
    enough = quoted.credits <= account.balance()["available"]
    return (None if enough else "INSUFFICIENT_CREDITS"), ended


def _refuse_other_end(hold: Hold, outcome: str, given_as: str) -> None:
    if hold.state == "COMMITTED" and outcome != VALID:
        refuse("ALREADY_COMMITTED")
    if hold.state == "RELEASED" and outcome == VALID:
        refuse("ALREADY_RELEASED")
    if outcome != hold.outcome:
        refuse("IDEMPOTENCY_KEY_REUSED", given_as)


# Answers


def _denied(reason: str, price: Price | None, balance: dict[str, int] | None) -> Row:
    return {
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
