"""Fields and statuses of the reference model: which are good, what they mean, how one refuses."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn
from zoneinfo import available_timezones

from tests.support.model.account import VALID, Row
from tests.support.model.paths import (
    CHARGE_RULE,
    METHOD,
    BadPathError,
    Price,
    has_control,
    readings,
)

SECOND_US = 1_000_000
CREDITS_MAX, PRICE_MAX, SETTLED_MAX = 10**15, 10**12, 10**18
CHANGES_OF_LIST_MAX = 16
PRIORITY_MAX, PRICES_MAX, TEXT_MAX = 1_000_000, 10_000, 256
TIME_MIN_US, TIME_MAX_US = 946_684_800_000_000, 253_402_300_799_999_999
FAILED_BY_STATUS = {
    **dict.fromkeys((*range(300, 304), *range(305, 400)), "REDIRECTED"),
    **dict.fromkeys((401, 403), "AUTHENTICATION_FAILED"),
    **dict.fromkeys((400, 404, 405, 409, 410, 413, 414, 415, 422), "VALIDATION_FAILED"),
    429: "RATE_LIMITED",
    499: "CANCELLED",
    **dict.fromkeys(range(500, 600), "SERVER_ERROR"),
}
OUTCOMES = {VALID, "BLOCKED", *FAILED_BY_STATUS.values()}


class ModelError(Exception):
    """A refused call: a reason of the error table, and every bad field or the one that differs."""

    def __init__(self, reason: str, *fields: str) -> None:
        """Name the reason and the fields, the first of which is `field`."""
        super().__init__(reason, *fields)
        self.reason = reason
        self.fields = fields
        self.field = fields[0] if fields else None


def refuse(reason: str, *fields: str) -> NoReturn:
    """Refuse the call."""
    raise ModelError(reason, *fields)


def classify(http_status: int, price: Price) -> str:
    """Find the outcome that a status stands for under the endpoint's charge rule."""
    by_default = http_status in (*range(200, 300), 304)
    valid = price.covers(http_status) if price.charge_on else by_default
    return VALID if valid else FAILED_BY_STATUS.get(http_status, "BLOCKED")


def refuse_bad_fields(given: Row, *, also_bad: Sequence[str] = ()) -> None:
    """Refuse the call, naming every field that breaks its own rule, and those that are `also_bad`."""
    bad = [name for name, value in given.items() if value is not None and not GOOD[name](value)]
    bad += also_bad
    if bad:
        refuse("INVALID_FIELD", *bad)


def refuse_other_content(first: Row, given: Row) -> None:
    """Refuse a repeat that differs from the first call, naming the first field that does."""
    for name, value in first.items():
        if given[name] != value:
            refuse("IDEMPOTENCY_KEY_REUSED", name)


def refuse_time_alone(price_list: str | None, since_us: int | None, given: Row) -> None:
    """Refuse a moment from which an account pays by a price list that is not named."""
    if price_list is None and since_us is not None:
        refuse_bad_fields(given, also_bad=["price_list_effective_time"])


def refuse_past_list(since_us: int | None, now_us: int) -> None:
    """Refuse to put an account on a price list as of a moment that is over."""
    if since_us is not None and since_us < now_us:
        refuse("INVALID_FIELD", "price_list_effective_time")


def _is_list_name(name: str) -> bool:
    return not name or re.fullmatch(r"[A-Za-z0-9._:@/-]{1,64}", name) is not None


def _is_text(text: str) -> bool:
    return len(text) <= TEXT_MAX and not has_control(text)


def _is_path(path: str) -> bool:
    try:
        readings(path)
    except BadPathError:
        return False
    return True


def _is_price(price: Price) -> bool:
    return (
        (price.method == "*" or METHOD.fullmatch(price.method) is not None)
        and price.is_well_formed()
        and 0 <= price.credits <= PRICE_MAX
        and all(CHARGE_RULE.fullmatch(rule) for rule in price.charge_on)
        and _is_text(price.note)
    )


def _are_prices(prices: list[Price]) -> bool:
    distinct = len({price.shape for price in prices}) == len(prices)
    return distinct and len(prices) <= PRICES_MAX and all(map(_is_price, prices))


GOOD: dict[str, Callable[[Any], bool]] = {
    "account_id": lambda text: bool(re.fullmatch(r"[A-Za-z0-9._:@/-]{1,128}", text)),
    "request_id": lambda text: bool(re.fullmatch(r"[ -~]{1,128}", text)),
    "display_name": _is_text,
    "note": _is_text,
    "state": lambda state: state in {"ACTIVE", "BLOCKED", "CLOSED"},
    "credit_limit": lambda credits_: 0 <= credits_ <= CREDITS_MAX,
    "credits": lambda credits_: 0 < credits_ <= CREDITS_MAX,
    "priority": lambda priority: 0 <= priority <= PRIORITY_MAX,
    "expire_time": lambda at_us: TIME_MIN_US <= at_us <= TIME_MAX_US,
    "anchor": lambda at_us: TIME_MIN_US <= at_us <= TIME_MAX_US,
    "end_time": lambda at_us: TIME_MIN_US <= at_us <= TIME_MAX_US,
    "period": lambda period: period in {"DAY", "WEEK", "MONTH", "YEAR"},
    "time_zone": lambda name: name in available_timezones(),
    "rollover_max": lambda credits_: 0 <= credits_ <= CREDITS_MAX,
    "recurring_grant_id": lambda _: True,
    "when": lambda when: when in {"NOW", "NEXT_PERIOD"},
    "effective_time": lambda at_us: TIME_MIN_US <= at_us <= TIME_MAX_US,
    "price_list_effective_time": lambda at_us: TIME_MIN_US <= at_us <= TIME_MAX_US,
    "price_list": _is_list_name,
    "name": _is_list_name,
    "prices": _are_prices,
    "unlisted": lambda unlisted: unlisted in {"free", "denied"},
    "method": lambda method: bool(METHOD.fullmatch(method)),
    "path": _is_path,
    "hold": lambda hold_us: hold_us >= SECOND_US,
    "http_status": lambda status: status in range(100, 600),
    "outcome": lambda outcome: outcome in OUTCOMES,
    "reservation_id": lambda _: True,
    "grant_id": lambda _: True,
    "alerts": lambda alerts: len({rule["name"] for rule in alerts}) == len(alerts),
    "limits": lambda limits: len({limit["name"] for limit in limits}) == len(limits),
}
