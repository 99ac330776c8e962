"""Decides when a reservation is moved out of the ledger, and what is kept of it in sums.

One that is moved out has ended, nothing can happen to it any more but a refund, and the retention time is over. Its
journal entries, its grants and its counters stay; the sums say how much of a counter has no reservation any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core import limits
from tollkeeper.core.limits import WindowCount
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import RELEASED, Usage, UsageKind

if TYPE_CHECKING:
    from tollkeeper.core.reservation import Reservation


class MovedOut(NamedTuple):
    """A reservation that is moved out, the counter that it counts in, and what it counts for in windows of limits."""

    reservation: Reservation
    usage: Usage
    windows: tuple[WindowCount, ...]


def due_at_us(
    state: ReservationState,
    *,
    settled_us: int,
    expires_us: int,
    retention_us: int,
    late_window_us: int,
) -> int | None:
    """Return when a reservation is to be moved out: so long after its end, or that of its late window.

    None: not yet to be said, since it is held.
    """
    if state is ReservationState.HELD:
        return None
    end_us = settled_us
    if state is ReservationState.EXPIRED:
        end_us = max(settled_us, expires_us + late_window_us)
    return end_us + retention_us


def move_out(
    reservation: Reservation, *, now_us: int, retention_us: int, late_window_us: int
) -> MovedOut | None:
    """Return what is kept of a reservation, or None where it is not due."""
    due_us = due_at_us(
        reservation.state,
        settled_us=reservation.settled_us,
        expires_us=reservation.expires_us,
        retention_us=retention_us,
        late_window_us=late_window_us,
    )
    if due_us is None or now_us < due_us:
        return None
    used = int(reservation.state is ReservationState.COMMITTED)
    key, windows = reservation.account_key, reservation.windows
    return MovedOut(
        reservation,
        _counted(reservation),
        limits.counts(key, windows, used=used, held=0, first=True),
    )


def _counted(reservation: Reservation) -> Usage:
    """Return the count of its end: an expiry counts in the hour of the deadline."""
    at_us = reservation.settled_us
    kind = UsageKind.CHARGED
    if reservation.state is ReservationState.EXPIRED:
        at_us, kind = reservation.expires_us, UsageKind.EXPIRED
    elif reservation.outcome is not None and reservation.state is ReservationState.RELEASED:
        kind = UsageKind(RELEASED.start + reservation.outcome)
    return Usage(reservation.account_key, reservation.endpoint_id, at_us, kind, 1, 0)
