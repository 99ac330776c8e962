"""What waits before a writer, and what a turn takes of it.

Operations that come alone go before those that come by the thousand (a `Bulk`): of these a turn takes a share, in
turn from each, so that no caller waits for the end of another's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.engine.lanes.attempt import Later, Result
from tollkeeper.engine.lanes.locked_out import Operation, set_answer
from tollkeeper.engine.unavailable import account_locked

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from tollkeeper.core.errors import Refused
    from tollkeeper.engine.lanes.fold import Command
    from tollkeeper.engine.lanes.writer import Job
    from tollkeeper.engine.settings import EngineSettings
    from tollkeeper.engine.work import Work


class WaitingJob(NamedTuple):
    """A job, and who waits for its answer."""

    job: Job
    future: asyncio.Future[object]


class Bulk:
    """The operations of one call that came at `since`; `answered` is set once, when the last of them is."""

    __slots__ = ("answered", "commands", "left", "results", "since", "taken")

    def __init__(
        self, commands: Sequence[Command], answered: asyncio.Future[list[Result]], since: float
    ) -> None:
        self.commands = commands
        self.answered = answered
        self.since = since
        self.results: list[Result] = [None] * len(commands)
        self.taken = 0
        self.left = len(commands)

    def resolve(self, begin: int, results: Sequence[Result]) -> None:
        """Keep the results of some of them."""
        self.results[begin : begin + len(results)] = results
        self.left -= len(results)
        if not self.left and not self.answered.done():
            self.answered.set_result(self.results)


class Slice(NamedTuple):
    """What a turn takes of a bulk: `[begin, end)` of its operations."""

    bulk: Bulk
    begin: int
    end: int


class Turn:
    """What the writer is given at once: single operations, then slices of bulks."""

    __slots__ = ("singles", "size", "slices")

    def __init__(self, singles: list[Operation], slices: list[Slice]) -> None:
        self.singles = singles
        self.slices = slices
        self.size = len(singles) + sum(end - begin for _, begin, end in slices)

    def commands(self) -> list[Command]:
        """Return its operations."""
        commands = [each.command for each in self.singles]
        for bulk, begin, end in self.slices:
            commands += bulk.commands[begin:end]
        return commands

    def note_waits(self, work: Work, now: float) -> None:
        """Count for how long its operations have waited, at the time that a writer is given them. Hot."""
        work.queue_waits.add_all([now - each.since for each in self.singles])
        for bulk, begin, end in self.slices:
            work.queue_waits.add(now - bulk.since, end - begin)

    def fail(self, error: BaseException) -> None:
        """Hand out the one exception to all."""
        for operation in self.singles:
            set_answer(operation.future, error)
        for bulk, begin, end in self.slices:
            bulk.resolve(begin, [error] * (end - begin))

    def resolve(self, results: Sequence[Result]) -> list[Operation]:
        """Hand out the results, one for each operation; return the operations that come again."""
        again: list[Operation] = []
        for operation, result in zip(self.singles, results, strict=False):
            if result is Later.LOCKED:
                again.append(operation)
            else:
                set_answer(operation.future, result)
        at = len(self.singles)
        for bulk, begin, end in self.slices:
            bulk.resolve(begin, list(map(_told_at_once, results[at : at + end - begin])))
            at += end - begin
        return again


def _told_at_once(result: Result) -> Result:
    """Return what an operation of a bulk is answered: the others do not wait until its account is free."""
    return account_locked() if result is Later.LOCKED else result


class Queue:
    """Operations, jobs and bulks that wait, in order. Belongs to one event loop, whose clock is `clock`."""

    def __init__(self, settings: EngineSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self.singles: deque[Operation | WaitingJob] = deque()
        """Operations that came alone, and jobs; added to and taken from here alone."""
        self._bulks: deque[Bulk] = deque()
        self._bulks_alone_at = 0.0
        """When bulks may take larger turns again."""
        self.in_bulks = 0
        """Operations of bulks that have not been taken."""

    @property
    def size(self) -> int:
        """Return how many operations and jobs wait."""
        return len(self.singles) + self.in_bulks

    @property
    def job_is_next(self) -> bool:
        """Say whether a job is to be taken before anything else."""
        return bool(self.singles) and isinstance(self.singles[0], WaitingJob)

    @property
    def late_s(self) -> float:
        """Return for how long the next operation has waited, where more wait than one transaction takes; else 0."""
        if self.size < self._settings.batch_max:
            return 0.0
        first = self.singles[0] if self.singles else self._bulks[0]
        return 0.0 if isinstance(first, WaitingJob) else self._clock() - first.since

    @property
    def bulks_are_alone(self) -> bool:
        """Say whether no single operation has been taken for a while."""
        return self._clock() >= self._bulks_alone_at

    def add(self, waiting: Operation | WaitingJob) -> None:
        """Add an operation that came alone, or a job."""
        self.singles.append(waiting)

    def add_again(self, operations: Sequence[Operation]) -> None:
        """Add operations before all others."""
        self.singles.extendleft(reversed(operations))

    def add_bulk(self, bulk: Bulk) -> None:
        """Add the operations of one call."""
        self._bulks.append(bulk)
        self.in_bulks += len(bulk.commands)

    def take(self, most: int) -> Turn | WaitingJob | None:
        """Take what the writer gets next: a job, or at most so many single operations and a share of the bulks."""
        singles: list[Operation] = []
        waiting = self.singles
        while waiting and len(singles) < most:
            first = waiting[0]
            if isinstance(first, WaitingJob):
                if singles:
                    break
                waiting.popleft()
                return first
            waiting.popleft()
            if not first.future.cancelled():
                singles.append(first)
        if singles:
            self._bulks_alone_at = self._clock() + self._settings.bulk_beside_for_s
        slices = self._slices() if self._bulks else []
        return Turn(singles, slices) if singles or slices else None

    def _slices(self) -> list[Slice]:
        """Take the bulks' share, a small one beside single operations: of each as much as of the others.

        But one of which no more is left than fits into a turn is taken whole, in its turn: if two of those went on
        side by side, they would end together, and nothing would wait for the writer while they are answered.
        """
        alone = self.bulks_are_alone
        turn = room = self._settings.bulk_alone if alone else self._settings.bulk_beside
        each = max(1, room // len(self._bulks))
        slices: list[Slice] = []
        while self._bulks and room > 0:
            bulk = self._bulks.popleft()
            if bulk.answered.cancelled():
                self.in_bulks -= len(bulk.commands) - bulk.taken
                continue
            left = len(bulk.commands) - bulk.taken
            fits = left <= turn
            count = min(left if fits else each, room)
            slices.append(Slice(bulk, bulk.taken, bulk.taken + count))
            bulk.taken += count
            room -= count
            self.in_bulks -= count
            if count < left:
                (self._bulks.appendleft if fits else self._bulks.append)(bulk)
        return slices

    def refuse(self, refusal: Callable[[], Refused]) -> None:
        """Answer all that wait."""
        while self.singles:
            set_answer(self.singles.popleft().future, refusal())
        while self._bulks:
            bulk = self._bulks.popleft()
            bulk.resolve(bulk.taken, [refusal()] * (len(bulk.commands) - bulk.taken))
        self.in_bulks = 0
