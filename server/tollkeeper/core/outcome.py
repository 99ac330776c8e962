"""How a request ended, and which endings consume credits: only a valid response does (rules 4.2)."""

from __future__ import annotations

import re
from enum import IntEnum, unique
from functools import lru_cache


@unique
class Outcome(IntEnum):
    """How a request ended; the numbers are the proto's."""

    VALID_RESPONSE = 1
    VALIDATION_FAILED = 2
    AUTHENTICATION_FAILED = 3
    RATE_LIMITED = 4
    BLOCKED = 5
    SERVER_ERROR = 6
    CANCELLED = 7
    REDIRECTED = 8


ChargeOn = tuple[str, ...]
"""Which HTTP statuses are valid responses, such as ("2xx", "404"); empty for the default."""

DEFAULT_CHARGE_ON: ChargeOn = ("2xx", "304")

_CHARGE_ON = re.compile(r"[1-5]xx|[1-5][0-9]{2}")
_AUTHENTICATION_FAILED = frozenset({401, 403})
_VALIDATION_FAILED = frozenset({400, 404, 405, 409, 410, 413, 414, 415, 422})
_NOT_MODIFIED = 304
_TOO_MANY_REQUESTS = 429
_CLIENT_CLOSED_REQUEST = 499


def is_charge_on(item: str) -> bool:
    """Say whether this is a class of statuses ("2xx") or one status ("404")."""
    return _CHARGE_ON.fullmatch(item) is not None


@lru_cache(maxsize=4096)
def classify(http_status: int, charge_on: ChargeOn) -> Outcome:
    """Return the outcome that an HTTP status stands for, under an endpoint's charge rule."""
    rule = charge_on or DEFAULT_CHARGE_ON
    if str(http_status) in rule or f"{http_status // 100}xx" in rule:
        return Outcome.VALID_RESPONSE
    if http_status // 100 == 3 and http_status != _NOT_MODIFIED:  # noqa: PLR2004 - the class of redirects
        return Outcome.REDIRECTED
    if http_status in _AUTHENTICATION_FAILED:
        return Outcome.AUTHENTICATION_FAILED
    if http_status in _VALIDATION_FAILED:
        return Outcome.VALIDATION_FAILED
    if http_status == _TOO_MANY_REQUESTS:
        return Outcome.RATE_LIMITED
    if http_status == _CLIENT_CLOSED_REQUEST:
        return Outcome.CANCELLED
    if http_status // 100 == 5:  # noqa: PLR2004 - the class of server errors
        return Outcome.SERVER_ERROR
    return Outcome.BLOCKED
