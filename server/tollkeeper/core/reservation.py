"""A reservation: the credits held for one request, and how it ended.

    HELD --valid response--> COMMITTED
    HELD --other outcome, release--> RELEASED
    HELD --deadline--> EXPIRED --valid response, late--> COMMITTED (late)

Each arrow happens once. Until then the deadline can be moved on, and never back. The price, its version and its charge
rule are frozen when the hold is made.
"""

from __future__ import annotations

import re
from enum import IntEnum, unique
from typing import NamedTuple

from tollkeeper.core.fast_tuples import replacer
from tollkeeper.core.grants import Slices
from tollkeeper.core.limits import Windows
from tollkeeper.core.outcome import ChargeOn, Outcome


@unique
class ReservationState(IntEnum):
    """The state of a reservation; the numbers are the proto's."""

    HELD = 1
    COMMITTED = 2
    RELEASED = 3
    EXPIRED = 4


class How(NamedTuple):
    """How a settlement was asked for, to be remembered: the status (0 where an outcome was given), and who called."""

    http_status: int
    caller: str


BY_NOBODY = How(0, "")
"""A deadline that has passed."""


class Reservation(NamedTuple):
    """One reservation. Hot: a tuple, not a dataclass.

    `request_digest` is the 16-byte digest of the caller's request_id; `method` and `path` are the request's
    own, `hold_us` is the hold that Authorize asked for (0 where unset); `outcome` is None while it is held or expired;
    `settled_us` is 0 until it has ended; `refunded` is what of its charge was given back;
    `windows` are those of the account's limits that it counts in. `http_status` is that of the commit, 0 where an
    outcome was given; `settled_by` and `authorized_by` are who called, empty if no call did or if it is not known;
    `charge_sequence` is the journal sequence of its charge, 0 for none. `request_id` and `authorized_by` are written
    once and read only for people: a lane that has read a reservation has them empty.
    """

    reservation_id: int
    account_key: int
    request_digest: bytes
    endpoint_id: int
    method: str
    path: str
    credits: int
    price_version: int
    charge_on: ChargeOn
    slices: Slices
    state: ReservationState
    outcome: Outcome | None
    late: bool
    created_us: int
    expires_us: int
    hold_us: int
    settled_us: int
    refunded: int = 0
    windows: Windows = ()
    http_status: int = 0
    settled_by: str = ""
    charge_sequence: int = 0
    request_id: str = ""
    authorized_by: str = ""

    def ended(
        self,
        state: ReservationState,
        *,
        outcome: Outcome | None,
        settled_us: int,
        slices: Slices | None = None,
        late: bool = False,
        how: How = BY_NOBODY,
        charge_sequence: int = 0,
    ) -> Reservation:
        """Return this reservation in an end state."""
        http_status, settled_by = how
        return _ended(
            self,
            slices=self.slices if slices is None else slices,
            state=state,
            outcome=outcome,
            late=late,
            settled_us=settled_us,
            http_status=http_status,
            settled_by=settled_by,
            charge_sequence=charge_sequence,
        )


_ended = replacer(
    Reservation,
    *("slices", "state", "outcome", "late", "settled_us"),
    *("http_status", "settled_by", "charge_sequence"),
)


class ReservationName(NamedTuple):
    """What a caller knows a reservation by: it tells the account, so that that is locked first."""

    account_key: int
    reservation_id: int

    def __str__(self) -> str:
        return f"{self.account_key:x}-{self.reservation_id:x}"


_NAME = re.compile(r"([1-9a-f][0-9a-f]{0,15})-([1-9a-f][0-9a-f]{0,15})")
_INT64 = 2**63


def parse_name(text: str) -> ReservationName | None:
    """Read a reservation's name, or return None for what cannot be one."""
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    account_key, reservation_id = int(match[1], 16), int(match[2], 16)
    if account_key >= _INT64 or reservation_id >= _INT64:
        return None
    return ReservationName(account_key, reservation_id)
