"""The reference model's part for operators: accounts, grants, debits, refunds and price lists; plans are apart.

In every call: the fields, the key, the account, the rest.
"""

import copy
from collections.abc import Sequence

from tests.support.model.account import HOUR_US, Account, Grant, Hold, Row
from tests.support.model.fields import (
    CHANGES_OF_LIST_MAX,
    SECOND_US,
    SETTLED_MAX,
    refuse,
    refuse_bad_fields,
    refuse_other_content,
    refuse_past_list,
    refuse_time_alone,
)
from tests.support.model.paths import Price


class AdminModel:
    """What operators ask for; `model.Model` adds what gateways do."""

    def __init__(
        self,
        *,
        hold_default_us: int = 60 * SECOND_US,
        hold_max_us: int = 24 * HOUR_US,
        hold_total_max_us: int = 7 * 24 * HOUR_US,
        late_window_us: int = 24 * HOUR_US,
        retention_us: int = 7 * 24 * HOUR_US,
    ) -> None:
        """Start with no account, no price list and these settings."""
        self.hold_default_us = hold_default_us
        self.hold_max_us = hold_max_us
        self.hold_total_max_us = hold_total_max_us
        self.late_window_us = late_window_us
        self.retention_us = retention_us
        self.price_lists: list[Row] = []  # the oldest first
        self._accounts: dict[str, Account] = {}
        self._account_of_hold: dict[int, str] = {}
        self._granted: dict[int, Row] = {}  # every grant as it was given
        self._refunds: list[Row] = []
        self._recurring: list[Row] = []  # every recurring grant as it was made
        self._replacements: list[Row] = []  # the answer of every replacement
        self._keys: dict[str, tuple[str, Row, int]] = {}  # call, content, what it made
        self._ids_made = 0

    def create_account(
        self,
        now_us: int,
        account_id: str,
        *,
        request_id: str,
        credit_limit: int = 0,
        display_name: str = "",
        limits: list[Row] | None = None,
        price_list: str = "",
        price_list_since_us: int | None = None,
        alerts: list[Row] | None = None,
    ) -> Row:
        """Create an account that starts at zero."""
        given: Row = {
            "account_id": account_id,
            "display_name": display_name,
            "credit_limit": credit_limit,
            "limits": limits or [],
            "alerts": alerts or [],
            "price_list": price_list,
            "price_list_effective_time": price_list_since_us,
        }
        refuse_time_alone(price_list or None, price_list_since_us, given)
        if self._made_before("create_account", request_id, given) is not None:
            return self._touched(account_id, now_us).answer(now_us) | {"replayed": True}
        refuse_past_list(price_list_since_us, now_us)
        if account_id in self._accounts:
            refuse("ACCOUNT_EXISTS")

        account = Account(account_id, display_name, credit_limit, now_us)
        self._put_on_list(account, price_list or None, price_list_since_us, now_us)
        self._ids_made = account.limits.replace(limits or [], self._ids_made + 1) - 1
        self._set_alerts(account, alerts or [])
        self._accounts[account_id] = account  # which has had nothing yet: no rule is met
        self._keys[request_id] = ("create_account", given, 0)
        return account.answer(now_us) | {"replayed": False}

    def update_account(
        self,
        now_us: int,
        account_id: str,
        *,
        request_id: str,
        display_name: str | None = None,
        state: str | None = None,
        credit_limit: int | None = None,
        limits: list[Row] | None = None,
        price_list: str | None = None,
        price_list_since_us: int | None = None,
        alerts: list[Row] | None = None,
    ) -> Row:
        """Change what is given; closing needs an account without balance and without holds."""
        given: Row = {
            "account_id": account_id,
            "display_name": display_name,
            "state": state,
            "credit_limit": credit_limit,
            "limits": limits,
            "alerts": alerts,
            "price_list": price_list,
            "price_list_effective_time": price_list_since_us,
        }
        refuse_time_alone(price_list, price_list_since_us, given)
        if self._made_before("update_account", request_id, given) is not None:
            return self._touched(account_id, now_us).answer(now_us) | {"replayed": True}
        refuse_past_list(price_list_since_us, now_us)
        account = self._touched(account_id, now_us)
        self._put_on_list(account, price_list, price_list_since_us, now_us)
        if state == "CLOSED":
            account.end_overdue(now_us)
        balance = account.balance()
        if state == "CLOSED" and (balance["settled"] != 0 or balance["held"] != 0):
            refuse("ACCOUNT_NOT_EMPTY")

        if display_name is not None:
            account.display_name = display_name
        if credit_limit is not None:
            account.shortfall_allowed |= credit_limit < account.credit_limit
            account.credit_limit = credit_limit
        account.state = state or account.state
        if state == "CLOSED":
            for recurring in account.recurring:
                if not recurring.has_ended(now_us):
                    recurring.end_us = now_us
        if limits is not None:
            self._ids_made = account.limits.replace(limits, self._ids_made + 1) - 1
        self._set_alerts(account, alerts)
        self._keep(account, now_us)
        self._keys[request_id] = ("update_account", given, 0)
        return account.answer(now_us) | {"replayed": False}

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
        self._keep(account, now_us)
        self._keys[request_id] = ("grant", given, own_id)
        self._granted[own_id] = account.grants[own_id].row()
        return {
            "grant": self._granted[own_id],
            "balance": account.balance(),
            "replayed": False,
        }

    def debit(
        self, now_us: int, account_id: str, *, credits: int, request_id: str, note: str = ""
    ) -> Row:
        """Take credits back from an account, in whatever state it is."""
        given: Row = {"account_id": account_id, "credits": credits, "note": note}
        made = self._made_before("debit", request_id, given)
        account = self._touched(account_id, now_us)
        if made is None:
            if account.balance()["settled"] - credits < -SETTLED_MAX:
                refuse("INVALID_FIELD", "credits")
            account.debit(credits, note, now_us)
            self._keep(account, now_us)
            self._keys[request_id] = ("debit", given, 0)
        return {"credits": credits, "balance": account.balance(), "replayed": made is not None}

    def void_grant(
        self, now_us: int, account_id: str, *, grant_id: int, request_id: str, note: str = ""
    ) -> Row:
        """Take back what a grant has left, and from now on what comes back to it."""
        given: Row = {"account_id": account_id, "grant_id": grant_id, "note": note}
        made = self._made_before("void_grant", request_id, given)
        account = self._touched(account_id, now_us)
        if made is None:
            if grant_id not in account.grants:
                refuse("GRANT_NOT_FOUND")
            account.void(account.grants[grant_id], note, now_us)
            self._keep(account, now_us)
            self._keys[request_id] = ("void_grant", given, grant_id)
        return {
            "grant": account.grants[grant_id].row(),
            "balance": account.balance(),
            "replayed": made is not None,
        }

    def refund(
        self,
        now_us: int,
        reservation_id: int,
        *,
        request_id: str,
        credits: int | None = None,
        note: str = "",
        expires_us: int | None = None,
    ) -> Row:
        """Give back a charge, or a part of it, to the grants that paid, in reverse."""
        given: Row = {
            "reservation_id": reservation_id,
            "credits": credits,
            "note": note,
            "expire_time": expires_us,
        }
        made = self._made_before("refund", request_id, given)
        if made is not None:
            first = dict(self._refunds[made])  # also where the reservation is gone
            balance = self._touched(first.pop("account_id"), now_us).balance()
            return first | {"balance": balance, "replayed": True}
        if expires_us is not None and expires_us <= now_us:
            refuse("INVALID_FIELD", "expire_time")
        account, hold = self._charged(reservation_id, now_us)
        if hold.state != "COMMITTED":
            refuse("NOT_COMMITTED")
        left = hold.price.credits - hold.refunded
        amount = left if credits is None else credits
        if amount == 0 or amount > left:
            refuse("REFUND_EXCEEDS_CHARGE")
        if account.balance()["settled"] + amount > SETTLED_MAX:
            refuse("INVALID_FIELD", "credits")

        if hold.id in account.past:
            return self._refund_of_the_past(account, hold, amount, now_us, given, request_id)
        gone, own_id = account.refund(hold, amount, note, now_us), None
        if gone and expires_us is not None:
            own_id = self._next_id()
            lost = sum(part for _, part in gone)
            row = (own_id, lost, gone[0][0].priority, expires_us, now_us, note, "")
            account.give(Grant(*row, remaining=lost), now_us)
            self._granted[own_id] = account.grants[own_id].row()
        return self._refunded(account, amount, own_id, now_us, given, request_id)

    def _refund_of_the_past(
        self, account: Account, hold: Hold, amount: int, now_us: int, given: Row, request_id: str
    ) -> Row:
        """Give back what was charged for a reservation that is gone: a new grant, with the refund's own entry."""
        own_id, expires_us, note = self._next_id(), given["expire_time"], given["note"]
        account.refund_as_grant(
            hold, Grant(own_id, amount, 0, expires_us, now_us, note, "", remaining=amount), now_us
        )
        self._granted[own_id] = account.grants[own_id].row()
        return self._refunded(account, amount, own_id, now_us, given, request_id)

    def _refunded(
        self,
        account: Account,
        amount: int,
        grant_id: int | None,
        now_us: int,
        given: Row,
        request_id: str,
    ) -> Row:
        self._keep(account, now_us)
        answer: Row = {"credits": amount, "grant_id": grant_id}
        self._refunds.append(answer | {"account_id": account.id})
        self._keys[request_id] = ("refund", given, len(self._refunds) - 1)
        return answer | {"balance": account.balance(), "replayed": False}

    def _charged(self, reservation_id: int, now_us: int) -> tuple[Account, Hold]:
        """Find a reservation, or what charged the account and was moved out since."""
        for account in self._accounts.values():
            past = account.past.get(reservation_id)
            if past is not None and past.state == "COMMITTED":
                touched = self._touched(account.id, now_us)
                return touched, touched.past[reservation_id]
        touched = self._touched(self._account_holding(reservation_id).id, now_us)
        return touched, touched.holds[reservation_id]

    def publish(
        self,
        now_us: int,
        *,
        prices: list[Row],
        request_id: str,
        unlisted: str = "free",
        effective_us: int | None = None,
        note: str = "",
        name: str = "",
    ) -> Row:
        """Publish a whole price list of a name (dicts of method, path, credits, charge_on, note)."""
        given: Row = {
            "effective_time": effective_us,
            "prices": [Price.of(price) for price in prices],
            "unlisted": unlisted,
            "note": note,
            "name": name,
        }
        version = self._made_before("publish", request_id, given)
        if version is not None:
            return self.price_lists[version - 1] | {"replayed": True}
        if effective_us is not None and effective_us < now_us:
            refuse("PRICES_BACKDATED", "effective_time")

        version = len(self.price_lists) + 1
        begins_us = now_us if effective_us is None else effective_us
        listed = {"version": version, "effective_us": begins_us, "prices": given["prices"]}
        self.price_lists.append(listed | {"unlisted": unlisted, "note": note, "name": name})
        self._keys[request_id] = ("publish", given, version)
        return self.price_lists[-1] | {"replayed": False}

    def keys(self) -> dict[str, str]:
        """Show the admin calls that are recorded: by request_id, which method it was."""
        return {request_id: call for request_id, (call, _, _) in self._keys.items()}

    def prices_in_force(self, at_us: int, name: str = "") -> Row | None:
        """Find the list of a name with the greatest effective time not after a moment; of equals, the later."""
        begun = [p for p in self.price_lists if p["name"] == name and p["effective_us"] <= at_us]
        return max(begun, key=lambda p: (p["effective_us"], p["version"]), default=None)

    # Parts of several calls

    def _put_on_list(
        self, account: Account, name: str | None, since_us: int | None, now_us: int
    ) -> None:
        if name is None:
            return
        since_us = now_us if since_us is None else since_us
        if name and self.prices_in_force(since_us, name) is None:
            refuse("PRICE_LIST_NOT_FOUND", "price_list")
        account.put_on_list(name, since_us)
        if len(account.pricing(now_us)["price_lists_to_come"]) > CHANGES_OF_LIST_MAX:
            refuse("INVALID_FIELD", "price_list_effective_time")

    def _made_before(
        self, call: str, request_id: str, given: Row, *, also_bad: Sequence[str] = ()
    ) -> int | None:
        """Refuse bad fields and altered content; what the call with this key made, if any did."""
        refuse_bad_fields(given | {"request_id": request_id}, also_bad=also_bad)
        if request_id not in self._keys:
            return None
        first_call, first, made = self._keys[request_id]
        if first_call != call:
            refuse("IDEMPOTENCY_KEY_REUSED", "request_id")
        refuse_other_content(first, given)
        return made

    def _set_alerts(self, account: Account, alerts: list[Row] | None) -> None:
        """Set rules; each of LIMIT_USE watches a limit that is there when it is set."""
        names = {"", *(limit["name"] for limit in account.limits.all)}
        if any(rule["limit"] not in names for rule in alerts or []):
            refuse("INVALID_FIELD", "alerts")
        next_id = self._ids_made + 1
        sequence = len(account.entries)
        self._ids_made = account.alerts.replace(alerts, account.limits, sequence, next_id) - 1

    def _touched(self, account_id: str, now_us: int) -> Account:
        """Copy the account to work on, and expire its due grants."""
        if account_id not in self._accounts:
            refuse("ACCOUNT_NOT_FOUND")
        account = copy.deepcopy(self._accounts[account_id])
        account.do_due(now_us)
        return account

    def _keep(self, account: Account, now_us: int, *, changed: bool = True) -> None:
        if changed:
            account.look(now_us)
            self._accounts[account.id] = account

    def _account_holding(self, reservation_id: int) -> Account:
        if reservation_id not in self._account_of_hold:
            refuse("RESERVATION_NOT_FOUND")
        return self._accounts[self._account_of_hold[reservation_id]]

    def _next_id(self) -> int:
        self._ids_made += 1
        return self._ids_made
