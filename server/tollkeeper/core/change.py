"""What one operation changes, for the shell to write; and its replies, for the shell to send."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, unique
from typing import NamedTuple

from tollkeeper.core.account import Account
from tollkeeper.core.credits import Balance
from tollkeeper.core.journal import Entry
from tollkeeper.core.limits import WindowCount
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.price_lists import UNLISTED_ENDPOINT_ID
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.usage import Usage


class Change(NamedTuple):
    """The account after an operation, and what was added to its journal, reservations, counters and windows."""

    account: Account
    entries: tuple[Entry, ...] = ()
    reservation: Reservation | None = None
    usage: tuple[Usage, ...] = ()
    windows: tuple[WindowCount, ...] = ()

    def then(self, later: Change) -> Change:
        """Return this change and, after it, another of the same account and reservation."""
        return Change(
            later.account,
            self.entries + later.entries,
            later.reservation or self.reservation,
            self.usage + later.usage,
            self.windows + later.windows,
        )


@unique
class DenialReason(IntEnum):
    """Why Authorize refused, in the order in which it looks; the numbers are the proto's."""

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


class Authorized(NamedTuple):
    """A granted Authorize. `reservation` is None where nothing is held: an unlisted endpoint, or a dry run."""

    reservation: ReservationName | None
    credits: int
    price_version: int
    state: ReservationState | None
    created_us: int
    expires_us: int
    balance: Balance
    replayed: bool = False


class Denied(NamedTuple):
    """A refused Authorize. `balance` is None where there is no account; `endpoint_id` is what it is counted under.

    `limit` is the name of the limit that refused, `retry_after_us` when to try again, None where waiting cannot help.
    """

    reason: DenialReason
    message: str
    credits: int
    balance: Balance | None
    endpoint_id: int = UNLISTED_ENDPOINT_ID
    limit: str = ""
    retry_after_us: int | None = None


class Extended(NamedTuple):
    """The answer to Extend: the deadline of the hold now."""

    expires_us: int
    balance: Balance


class Settled(NamedTuple):
    """The answer to Commit and Release. `credits` is what the reservation consumed."""

    state: ReservationState
    outcome: Outcome
    credits: int
    balance: Balance
    late: bool = False
    replayed: bool = False
