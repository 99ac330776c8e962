"""Prolongs a hold that is still open, for a request that takes longer than was thought.

Only the deadline changes: what is held, and what it counts for in windows of limits, stays as it was made. The caller
holds the account's lock and has read the reservation under it.
"""

from __future__ import annotations

from tollkeeper.core.account import Account, do_what_is_due
from tollkeeper.core.change import Change, Extended
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.settle import already_committed, already_released


def extend(
    account: Account,
    reservation: Reservation,
    *,
    now_us: int,
    hold_us: int,
    hold_total_max_us: int,
) -> tuple[Extended, Change | None]:
    """Let a hold last `hold_us` from now, and no longer than `hold_total_max_us` from when it was made.

    Never shorter: a deadline that is later already stays, and nothing is changed. In every state of the account.
    """
    if reservation.state is not ReservationState.HELD or now_us >= reservation.expires_us:
        raise _not_open(reservation)
    due, entries = do_what_is_due(account, now_us)
    until_us = min(now_us + hold_us, reservation.created_us + hold_total_max_us)
    if until_us <= reservation.expires_us:
        return Extended(reservation.expires_us, due.balance), None

    extended = reservation._replace(expires_us=until_us)
    return Extended(until_us, due.balance), Change(due, entries, extended)


def _not_open(reservation: Reservation) -> Refused:
    if reservation.state is ReservationState.COMMITTED:
        return already_committed(reservation)
    if reservation.state is ReservationState.RELEASED:
        return already_released(reservation)
    name = str(ReservationName(reservation.account_key, reservation.reservation_id))
    return Refused(
        Reason.RESERVATION_EXPIRED,
        f"reservation {name} has expired and gave its credits back, so it cannot be extended; "
        "commit it late, or authorize anew with a new request_id",
        metadata={"reservation_id": name, "state": "EXPIRED"},
    )
