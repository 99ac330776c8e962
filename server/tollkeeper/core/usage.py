"""Why Authorize refuses, and what is counted: how requests ended and what they consumed.

The counters are per account, endpoint and quarter of an hour.

One counter is a number of requests and a number of credits under one `UsageKind`. A new way to end is a new
kind, not a new column. A quarter of an hour, since no zone's hours, days or months begin at any other moment.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_US = 3_600_000_000
QUARTER_US = HOUR_US // 4
QUARTERS = 4
"""Of an hour."""
DAY_US = 24 * HOUR_US


@unique
class DenialReason(IntEnum):
    """Why Authorize refused; the numbers are the proto's. Rules 3.1 have the order in which it looks."""

    ACCOUNT_NOT_FOUND = 1
    ACCOUNT_BLOCKED = 2
    ENDPOINT_NOT_LISTED = 3
    LIMIT_EXCEEDED = 4
    INSUFFICIENT_CREDITS = 5


HTTP_STATUSES: Mapping[DenialReason, int] = {
    DenialReason.ACCOUNT_NOT_FOUND: 403,
    DenialReason.ACCOUNT_BLOCKED: 403,
    DenialReason.ENDPOINT_NOT_LISTED: 404,
    DenialReason.LIMIT_EXCEEDED: 429,
    DenialReason.INSUFFICIENT_CREDITS: 402,
}
"""What a gateway should answer its caller for each denial."""


@unique
class UsageKind(IntEnum):
    """How a request ended. Released kinds are 20 + the outcome, denied kinds 40 + the denial reason.

    FREE: an endpoint that the price list does not name, where that costs nothing.
    """

    CHARGED = 1
    EXPIRED = 2
    REFUNDED = 3
    RELEASED_VALIDATION_FAILED = 22
    RELEASED_AUTHENTICATION_FAILED = 23
    RELEASED_RATE_LIMITED = 24
    RELEASED_BLOCKED = 25
    RELEASED_SERVER_ERROR = 26
    RELEASED_CANCELLED = 27
    RELEASED_REDIRECTED = 28
    DENIED_ACCOUNT_BLOCKED = 42
    DENIED_ENDPOINT_NOT_LISTED = 43
    DENIED_LIMIT_EXCEEDED = 44
    DENIED_INSUFFICIENT_CREDITS = 45
    FREE = 60


RELEASED = range(20, 40)
DENIED = range(40, 60)


class UsageTotals(NamedTuple):
    """Requests by how they ended, and credits consumed.

    What was released is told by outcome, then what was denied by reason, under the names of their `UsageKind`.
    """

    requests: int = 0
    credits: int = 0
    expired: int = 0
    refunded_credits: int = 0
    free: int = 0
    released_validation_failed: int = 0
    released_authentication_failed: int = 0
    released_rate_limited: int = 0
    released_blocked: int = 0
    released_server_error: int = 0
    released_cancelled: int = 0
    released_redirected: int = 0
    denied_account_blocked: int = 0
    denied_endpoint_not_listed: int = 0
    denied_limit_exceeded: int = 0
    denied_insufficient_credits: int = 0

    @property
    def released(self) -> int:
        """Requests that were authorized and not charged, whatever the outcome."""
        return sum(self[_FIRST_RELEASED:_FIRST_DENIED])

    @property
    def denied(self) -> int:
        """Requests that Authorize refused, whatever the reason."""
        return sum(self[_FIRST_DENIED:])


_FIRST_RELEASED = UsageTotals._fields.index("released_validation_failed")
_FIRST_DENIED = UsageTotals._fields.index("denied_account_blocked")


class Usage(NamedTuple):
    """One change of one counter. `at_us` is any instant of its quarter; `requests` and `credits` may be negative."""

    account_key: int
    endpoint_id: int
    at_us: int
    kind: UsageKind
    requests: int
    credits: int


UsageCounts = dict[tuple[int, int, int, UsageKind], tuple[int, int]]
"""(requests, credits) by account key, quarters of an hour since 1970, endpoint id and kind."""

WindowCounts = dict[tuple[int, int, int], tuple[int, int, int]]
"""(used, held, over) by account key, limit id and the beginning of the window."""

MovedOutCounts = dict[tuple[int, int, int, UsageKind], int]
"""Requests whose reservation is moved out, by account key, hours since 1970, endpoint id and kind."""

MovedOutOfWindows = dict[tuple[int, int, int], tuple[int, int]]
"""What of (used, over) has no reservation any more, by the key of the window."""
