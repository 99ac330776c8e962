"""The reference model's account of one reservation: everything that is known of it, and what happened when."""

import copy

from tests.support.model.account import Account
from tests.support.model.limits import window_of
from tests.support.model.rows import Hold, Row


def life_of(account: Account, hold: Hold, price_list: Row) -> Row:
    """Tell the whole life of a reservation of an account in which nothing is due."""
    entries = [entry for entry in account.entries if entry["reservation"] == hold.id]
    told = hold.row()
    for name in ("slices", "windows", "charge_sequence", "price_version"):
        del told[name]
    return told | {
        "account_id": account.id,
        "prices": tuple(price_list[name] for name in ("version", "name", "effective_us", "note")),
        "payments": [_payment(account, grant_id, credits_) for grant_id, credits_ in hold.slices],
        "windows": [_window(account, *each) for each in hold.windows],
        "entries": copy.deepcopy(entries),
        "timeline": _timeline(hold, entries),
    }


def _payment(account: Account, grant_id: int | None, credits_: int) -> Row:
    paid: Row = {"credits": credits_, "grant": grant_id}
    if grant_id is None:
        return paid | {"priority": 0, "expires_us": None, "note": ""}
    row = account.grants[grant_id].row()
    return paid | {name: row[name] for name in ("priority", "expires_us", "note")}


def _window(account: Account, own_id: int, begin: int, amount: int, over: bool) -> Row:
    counted: Row = {"begin": begin, "amount": amount, "over": over, "limit": None, "end": 0}
    for limit in account.limits.all:
        if limit["id"] == own_id:
            _, end = window_of(limit["window"], limit["time_zone"], begin)
            kept = {name: value for name, value in limit.items() if name != "id"}
            return counted | {"limit": kept, "end": end}
    return counted


def _timeline(hold: Hold, entries: list[Row]) -> list[tuple[int, str]]:
    """Say what happened when; a hold that still is one has no end yet."""
    events = [(hold.create_us, "authorized")]
    if hold.state == "EXPIRED" or hold.late:
        events.append((hold.expire_us, "expired"))
    if hold.state == "RELEASED":
        events.append((hold.settled_us, "released"))
    for entry in entries:
        words = {"CHARGE": "charged", "LATE_CHARGE": "charged late", "REFUND": "refunded"}
        events.append((entry["create_us"], words[entry["kind"]]))
    return events
