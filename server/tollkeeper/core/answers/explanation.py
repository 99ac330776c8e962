"""Why something was charged: the whole life of one reservation, as a reader finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tollkeeper.core.answers.views import EntryView
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.journal import CHARGES, EntryKind
from tollkeeper.core.limits import Counted, Limit
from tollkeeper.core.reservation import Reservation, ReservationName


class RequestName(NamedTuple):
    """What a gateway knows a reservation by."""

    account_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class ExplainReservation:
    """Read the whole life of one reservation, by its own name or by that of its request."""

    name: ReservationName | RequestName


class PriceOrigin(NamedTuple):
    """The price that was asked, as its list wrote it, and that list."""

    method: str
    path: str
    version: int
    list_name: str
    effective_us: int
    note: str


class Payment(NamedTuple):
    """What one grant pays of the price, and what is fixed of that grant; `grant_id` is CREDIT_LINE where none pays."""

    credits: int
    grant_id: int
    priority: int = 0
    expires_us: int = NEVER_US
    note: str = ""


class CountedIn(NamedTuple):
    """A window that the reservation counts in. `limit` is None, and `end_us` 0, where the account has it no more."""

    counted: Counted
    limit: Limit | None
    end_us: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The life of a reservation, true of `as_of_us`; a hold that is overdue has ended.

    `reservation` is None where it was removed after its retention time: then the entries are all that is known.
    `entries` are its charge and its refunds, in the order of the journal.
    """

    as_of_us: int
    account_id: str
    name: ReservationName
    created_us: int
    """To the millisecond where the reservation was removed: its id tells it."""
    reservation: Reservation | None
    price: PriceOrigin
    payments: tuple[Payment, ...]
    windows: tuple[CountedIn, ...]
    entries: tuple[EntryView, ...]

    @property
    def charge(self) -> EntryView | None:
        """The entry of its charge."""
        return next((each for each in self.entries if each.entry.kind in CHARGES), None)

    @property
    def credits(self) -> int:
        """The price: what was held, or charged."""
        if self.reservation is not None:
            return self.reservation.credits
        return -self.charge.entry.credits if self.charge else 0

    @property
    def refunded(self) -> int:
        """What was given back of its charge."""
        entries = [each.entry for each in self.entries]
        return sum(each.credits for each in entries if each.kind is EntryKind.REFUND)
