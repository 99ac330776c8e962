"""What is asked of the ledger and what it answers, as plain values: the same over every transport.

Tuples and not messages: the load test makes and reads two of each for every pair, and its own work is not to be what is
measured. `sending/wire.py` turns them into messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from tollkeeper.core.outcome import Outcome


class Authorize(NamedTuple):
    """Hold the price of a request."""

    account_id: str
    method: str
    path: str
    request_id: str
    hold_s: int | None
    """None: as long as the ledger holds by itself."""


class Commit(NamedTuple):
    """Settle a hold by a status, or by an outcome."""

    reservation_id: str
    http_status: int
    """0 where an outcome is given."""
    outcome: Outcome | None


class Release(NamedTuple):
    """Give a hold back."""

    reservation_id: str
    outcome: Outcome | None
    """None: not said, which the ledger takes for CANCELLED."""


Operation: TypeAlias = Authorize | Commit | Release


class Held(NamedTuple):
    """The price is held."""

    reservation_id: str
    """Empty where the endpoint is free."""
    credits: int
    price_version: int
    hold_s: float
    """How long the hold lasts."""
    replayed: bool


class Denied(NamedTuple):
    """Authorize said no; `reason` is the proto's number."""

    reason: int
    message: str


class Settled(NamedTuple):
    """What became of a hold; state and outcome are the proto's numbers."""

    state: int
    outcome: int
    """0 after a Release, which does not say it."""
    credits: int
    late: bool
