"""What a writer counts of its transactions, where metrics are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.change import Denied
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.reservation import ReservationState
from tollkeeper.engine.work import Flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.engine.lanes.attempt import Result
    from tollkeeper.engine.lanes.fold import Fold
    from tollkeeper.engine.work import Work

_US_PER_S = 1_000_000
_RELEASED, _EXPIRED = ReservationState.RELEASED, ReservationState.EXPIRED
_CHARGE, _LATE, _REFUND = EntryKind.CHARGE, EntryKind.LATE_CHARGE, EntryKind.REFUND


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
    for denied in [each for each in results if type(each) is Denied]:
        work.denials[denied.reason] += 1
    _note_credits(work, fold)


def _note_credits(work: Work, fold: Fold) -> None:
    """Count what the transaction has written of credits. Hot: an enum as a key for each operation takes far longer."""
    made, entries = fold.pending.new_reservations, fold.pending.entries
    # One that was there and is released or expired now has ended just now: nothing else changes such a row.
    written = made + fold.pending.reservations
    charges = [each.credits for each in entries if each.kind is _CHARGE or each.kind is _LATE]
    flows = {
        Flow.HELD: sum([each.credits for each in made]),
        Flow.CHARGED: -sum(charges),
        Flow.RELEASED: sum([each.credits for each in written if each.state is _RELEASED]),
        Flow.EXPIRED: sum([each.credits for each in written if each.state is _EXPIRED]),
        Flow.REFUNDED: sum([each.credits for each in entries if each.kind is _REFUND]),
    }
    for flow, credits in flows.items():
        if credits:
            work.credits[flow] += credits
