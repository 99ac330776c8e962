"""What one attempt at a batch came to, and what is remembered of it when its outcome is unknown.

A connection that is lost during COMMIT leaves the lane not knowing. The next attempt finds by the keys what was
done, as a repeat would; the caller that waits still gets the first answer, because for this caller it is the first.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.answers.views import (
    Debited,
    GrantView,
    RecurringEnded,
    RecurringReplaced,
    RecurringView,
)
from tollkeeper.core.change import Authorized, Extended, Settled
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    CreateRecurringGrant,
    Debit,
    EndRecurringGrant,
    Extend,
    GrantCredits,
    Release,
    ReplaceRecurringGrant,
)
from tollkeeper.core.errors import Refused
from tollkeeper.engine.lanes.fold import Command, Fold, Reply, needs_of
from tollkeeper.engine.unavailable import account_locked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.core.reservation import ReservationName
    from tollkeeper.engine.ports import Loaded


@unique
class Later(Enum):
    """What stands for the answer to an operation that was not carried out and is to come again."""

    LOCKED = 1
    """Another session of the database has locked its account."""


Result = Reply | BaseException | Later


class Told(NamedTuple):
    """What an attempt of unknown outcome would have answered an operation, and that attempt's time."""

    result: Result
    now_us: int


class Attempt:
    """What one attempt at a batch has read and come to, also where its commit failed."""

    __slots__ = ("_commands", "loaded", "results")

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = commands
        self.loaded: Loaded | None = None
        self.results: list[Result] = []

    def told(self, earlier: Sequence[Told] | None) -> Sequence[Told] | None:
        """Return what to remember now that this attempt has failed: it may have been committed all the same."""
        if self.loaded is None or not self.results:
            return earlier
        told = [Told(result, self.loaded.now_us) for result in self.results]
        if earlier is None:
            return told
        return [
            now if answer is now.result else first
            for now, answer, first in zip(told, self.answers(earlier), earlier, strict=True)
        ]

    def answers(self, earlier: Sequence[Told] | None) -> list[Result]:
        """Return the answers: the first of each, where an earlier attempt was committed after all."""
        if earlier is None:
            return self.results
        return list(map(self._first_told, self._commands, self.results, earlier))

    def _first_told(self, command: Command, result: Result, earlier: Told) -> Result:
        """Undo `replayed` where the earlier attempt, and no other server, did what is repeated here."""
        if result is Later.LOCKED and not isinstance(earlier.result, Later):
            # It may have been done: to come again would lose that. The caller repeats, and finds out by the key.
            return account_locked()
        if isinstance(command, Extend):
            return self._first_extended(command, result, earlier)
        match command, result, earlier.result:
            case Authorize(), Authorized(replayed=True), Authorized(replayed=False) as first:
                same = result.reservation == first.reservation
            case ((Commit() | Release()), Settled(replayed=True), Settled(replayed=False)):
                same = self._settled_us(command.reservation) == earlier.now_us
            case GrantCredits(), GrantView(replayed=True), GrantView(replayed=False) as first:
                return first if result.grant_id == first.grant_id else result
            case (
                CreateRecurringGrant(),
                RecurringView(replayed=True),
                RecurringView(replayed=False) as first,
            ):
                return first if result.recurring == first.recurring else result
            case (
                EndRecurringGrant(),
                RecurringEnded(replayed=True),
                RecurringEnded(replayed=False) as first,
            ):
                return first if result.end_us == first.end_us else result
            case (
                ReplaceRecurringGrant(),
                RecurringReplaced(replayed=True),
                RecurringReplaced(replayed=False) as first,
            ):
                return first if result.recurring == first.recurring else result
            case Debit(), Debited(replayed=True), Debited(replayed=False) as first:
                return first if result.created_us == first.created_us else result
            case _:
                return result
        return result._replace(replayed=False) if same else result

    def _first_extended(self, command: Extend, result: Result, earlier: Told) -> Result:
        """Return what the earlier attempt did, where an operation that came after it has settled the hold since."""
        if not (isinstance(result, Refused) and isinstance(earlier.result, Extended)):
            return result
        settled_us = self._settled_us(command.reservation)
        return earlier.result if settled_us == earlier.now_us else result

    def _settled_us(self, name: ReservationName) -> int | None:
        reservation = self.loaded and self.loaded.reservations.get(name)
        return reservation.settled_us if reservation else None


def apply_all(fold: Fold, commands: Sequence[Command]) -> list[Result]:
    """Decide each; a refusal is its result, and `Later.LOCKED` that of one whose account others have locked."""
    results: list[Result] = []
    locked = fold.loaded.locked
    for command in commands:
        if locked and not locked.isdisjoint(_accounts_of(command, fold.loaded)):
            results.append(Later.LOCKED)
            continue
        try:
            results.append(fold.apply(command))
        except Refused as refused:
            results.append(refused)
    return results


def _accounts_of(command: Command, loaded: Loaded) -> set[int]:
    """Return the keys of the accounts that an operation is about."""
    needs = needs_of((command,))
    return needs.account_keys | {
        loaded.keys[each] for each in needs.account_ids & loaded.keys.keys()
    }
