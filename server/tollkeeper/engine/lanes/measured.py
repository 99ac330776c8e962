"""What a writer counts of its transactions, where metrics are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.change import Denied
from tollkeeper.core.journal import CHARGES, EntryKind
from tollkeeper.core.reservation import ReservationState
from tollkeeper.engine.work import Flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.engine.lanes.attempt import Result
    from tollkeeper.engine.lanes.fold import Fold
    from tollkeeper.engine.work import Work

_US_PER_S = 1_000_000
_FLOWS = {
    ReservationState.RELEASED: Flow.RELEASED,
    ReservationState.EXPIRED: Flow.EXPIRED,
}
"""What became of the credits of a hold that has ended; charges are known by their entries."""


class Moments(NamedTuple):
    """Of one transaction, in seconds of a clock that only rises."""

    begun: float
    read: float
    """When everything was locked and read."""
    decided: float
    ended: float
    """When all was committed, durably."""


def note_transaction(work: Work, fold: Fold, results: Sequence[Result], moments: Moments) -> None:
    """Count a transaction that was committed. Hot."""
    begun, read, decided, ended = moments
    work.lock_waits.add(fold.loaded.lock_wait_us / _US_PER_S)
    work.database_times.add(read - begun + ended - decided)
    work.commit_times.add(ended - decided)
    for result in results:
        if type(result) is Denied:
            work.denials[result.reason] += 1
    _note_credits(work, fold)


def _note_credits(work: Work, fold: Fold) -> None:
    """Count what the transaction has written of credits."""
    writes, credits = fold.pending, work.credits
    for made in writes.new_reservations:
        credits[Flow.HELD] += made.credits
        if (flow := _FLOWS.get(made.state)) is not None:
            credits[flow] += made.credits
    for before in writes.holds_ended:
        now = fold.reservations[before.account_key, before.reservation_id]
        if (flow := _FLOWS.get(now.state)) is not None:
            credits[flow] += before.credits
    for entry in writes.entries:
        if entry.kind in CHARGES:
            credits[Flow.CHARGED] -= entry.credits
        elif entry.kind is EntryKind.REFUND:
            credits[Flow.REFUNDED] += entry.credits
