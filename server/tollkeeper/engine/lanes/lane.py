"""A lane: the queue before a writer. What waits while one batch runs is the next batch.

No timers and nothing to tune: alone, an operation goes at once; under load, batches grow by themselves. An
answer is given only after the database has made its effect durable, and the event loop is woken once a batch.

Operations that come alone go before those that come by the thousand (a `Bulk`): of these a turn takes a share, in
turn from each, so that no caller waits for the end of another's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from tollkeeper.core.account import SHARDS
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.counts import LaneCounts
from tollkeeper.engine.lanes.attempt import Later, Result
from tollkeeper.engine.lanes.fold import Command, Reply
from tollkeeper.engine.lanes.locked_out import LockedOut, Operation, set_answer
from tollkeeper.engine.lanes.writer import Execute, Job, Task
from tollkeeper.engine.unavailable import account_locked, shutting_down, unavailable

if TYPE_CHECKING:
    from tollkeeper.engine.settings import EngineSettings


ENOUGH = 500
"""So many operations do not wait for more: they go to the writer at once, also as its next while it is at work.

Callers who are all answered at once come again all at once: in one batch, the writer would have nothing to do while the
event loop answers, nor the event loop while the writer works. Each transaction has a price of its own, though: 1,000
callers in halves get 4 % more than in quarters, and within the spread as much as in one (measured, 18 turns).
"""


class Host(Protocol):
    """Where a lane's writer lives. It does one task after the other; its methods belong to the event loop."""

    async def start(self, lane: Lane) -> None:
        """Bring the writer up; tell the lane `up`, `answered` for each task, and `down` when the writer is lost."""
        ...

    def send(self, task: Task) -> None:
        """Give the writer a task, to be done after those that it has."""
        ...

    async def stop(self) -> None:
        """Let the writer finish, and wait until it has ended."""
        ...

    def kill(self) -> None:
        """End the writer at once and for good, where that goes; tell `down` then. What it had is lost."""
        ...


HostOf = Callable[[str, Sequence[int]], Host]
"""Makes the host of a lane's writer, given the lane's name and shards."""


class _WaitingJob(NamedTuple):
    job: Job
    future: asyncio.Future[object]


class _Bulk:
    """The operations of one call; `answered` is set once, when the last of them is."""

    __slots__ = ("answered", "commands", "left", "results", "taken")

    def __init__(self, commands: Sequence[Command], answered: asyncio.Future[list[Result]]) -> None:
        self.commands = commands
        self.answered = answered
        self.results: list[Result] = [None] * len(commands)
        self.taken = 0
        self.left = len(commands)

    def resolve(self, begin: int, results: Sequence[Result]) -> None:
        self.results[begin : begin + len(results)] = results
        self.left -= len(results)
        if not self.left and not self.answered.done():
            self.answered.set_result(self.results)


class _Slice(NamedTuple):
    """What a turn takes of a bulk: `[begin, end)` of its operations."""

    bulk: _Bulk
    begin: int
    end: int


class _Turn(NamedTuple):
    """What the writer has: single operations, then slices of bulks."""

    singles: list[Operation]
    slices: list[_Slice]

    def commands(self) -> list[Command]:
        commands = [each.command for each in self.singles]
        for bulk, begin, end in self.slices:
            commands += bulk.commands[begin:end]
        return commands

    def resolve(self, answer: object) -> list[Operation]:
        """Hand out the results, one for each command, or the one exception; return the operations that come again."""
        if isinstance(answer, BaseException):
            for operation in self.singles:
                set_answer(operation.future, answer)
            for bulk, begin, end in self.slices:
                bulk.resolve(begin, [answer] * (end - begin))
            return []
        results = cast("Sequence[Result]", answer)
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


class Lane:
    """Queues operations for one writer, hands it the next batch when it is free, and hands out the answers.

    Belongs to one event loop.
    """

    def __init__(self, host: Host, settings: EngineSettings) -> None:
        self._host = host
        self._settings = settings
        self._waiting: deque[Operation | _WaitingJob] = deque()
        self._bulks: deque[_Bulk] = deque()
        self._in_bulks = 0
        self._locked_out = LockedOut(settings.retry_for_s, self._come_again)
        self._bulks_alone_at = 0.0
        """When bulks may take larger turns again, by the event loop's clock."""
        self._sent: deque[_Turn | _WaitingJob] = deque()
        """What the writer has, and what it goes on with."""
        self._is_up = False
        self._batches = 0
        self._operations = 0
        self._losses = 0
        self._turn_is_due = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._refusal: Callable[[], Refused] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Bring the writer up. Raises what keeps it from that."""
        self._loop = asyncio.get_running_loop()
        await self._host.start(self)

    async def stop(self) -> None:
        """Refuse what comes from now on, carry out what waits, and let the writer end."""
        self._refusal = shutting_down
        await self.free()
        await self._host.stop()
        if self._giving_up is not None:
            self._giving_up.cancel()

    def abandon(self) -> None:
        """Answer everything now, done or not: the time of a stop is over."""
        self._host.kill()
        self._give_up()

    def submit(self, command: Command) -> asyncio.Future[Reply]:
        """Queue an operation. Raises Refused where the queue is full, the writer is gone, or the lane is stopping."""
        if self._refusal is not None:
            raise self._refusal()
        if len(self._waiting) + len(self._locked_out) >= self._settings.queue_max:
            raise Refused(
                Reason.OVERLOADED,
                f"{self._settings.queue_max} operations are waiting already",
            )
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append(Operation(command, future))
        self._take_turn_soon()
        return future

    def submit_all(self, commands: Sequence[Command]) -> asyncio.Future[list[Result]]:
        """Queue the operations of one call, to be carried out in their order; each has a result of its own.

        Raises Refused as `submit` does, for all of them. Where the future is cancelled, those that the writer has
        not been given are dropped.
        """
        if self._refusal is not None:
            raise self._refusal()
        if self._in_bulks + len(commands) > self._settings.bulk_queue_max:
            raise Refused(
                Reason.OVERLOADED,
                f"{self._in_bulks} operations of batches are waiting already",
            )
        answered: asyncio.Future[list[Result]] = self._loop.create_future()
        if not commands:
            answered.set_result([])
            return answered
        self._bulks.append(_Bulk(commands, answered))
        self._in_bulks += len(commands)
        self._take_turn_soon()
        return answered

    def submit_job(self, job: Job) -> asyncio.Future[object]:
        """Queue a job, which has the writer to itself. Raises Refused as `submit` does."""
        if self._refusal is not None:
            raise self._refusal()
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting.append(_WaitingJob(job, future))
        self._take_turn_soon()
        return future

    @property
    def counts(self) -> LaneCounts:
        """Return what was done so far, and what waits."""
        return LaneCounts(
            waiting=len(self._waiting) + len(self._locked_out) + self._in_bulks,
            batches=self._batches,
            operations=self._operations,
            losses=self._losses,
        )

    @property
    def is_quiet(self) -> bool:
        """Say whether nothing waits for the writer and no single operation has come for a second."""
        return self._idle.is_set() and self._loop.time() >= self._bulks_alone_at

    async def free(self) -> None:
        """Wait until nothing waits for the writer."""
        while not self._idle.is_set():
            await self._idle.wait()

    # -- what the host tells

    def up(self) -> None:
        """Take note that the writer is there, for the first time or again."""
        self._is_up = True
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        if self._refusal is unavailable:
            self._refusal = None
        self._take_turn()

    def down(self) -> None:
        """Take note that the writer is lost; what it had may or may not be done, and its keys tell."""
        self._is_up = False
        self._losses += 1
        while self._sent:
            self._resolve(self._sent.popleft(), unavailable())
        if self._giving_up is None:
            self._giving_up = self._loop.call_later(self._settings.retry_for_s, self._give_up)
        self._note_idle()

    def answered(self, answer: object) -> None:
        """Hand out what the writer has answered to its task."""
        done = self._sent.popleft()
        self._take_turn()  # first, so that it works while the answers are handed out
        self._resolve(done, answer)

    def _resolve(self, done: _Turn | _WaitingJob, answer: object) -> None:
        if isinstance(done, _WaitingJob):
            set_answer(done.future, answer)
        elif again := done.resolve(answer):
            self._locked_out.add(again)
            self._note_idle()

    def _come_again(self, operations: Sequence[Operation]) -> None:
        self._waiting.extendleft(reversed(operations))
        self._take_turn_soon()

    # -- turns

    def _take_turn_soon(self) -> None:
        """Take a turn when everything that arrives in this round of the event loop has arrived, or enough has."""
        self._idle.clear()
        if self._is_enough():
            self._take_turn()
        elif not self._sent and not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_is_due = False
        if not self._is_up or len(self._sent) > (1 if self._is_enough() else 0):
            return
        following = self._next()
        if following is None:
            self._note_idle()
            return
        self._sent.append(following)
        if isinstance(following, _WaitingJob):
            self._host.send(following.job)
            return
        commands = following.commands()
        self._batches += 1
        self._operations += len(commands)
        self._host.send(Execute(commands))

    def _is_enough(self) -> bool:
        """Say whether there is enough for a turn that does not wait for more; of bulks, where they are alone."""
        if len(self._waiting) >= ENOUGH:
            return True
        return self._in_bulks >= ENOUGH and self._loop.time() >= self._bulks_alone_at

    def _next(self) -> _Turn | _WaitingJob | None:
        """Take what the writer gets next: a job, or operations: all before the next job and a share of the bulks."""
        singles: list[Operation] = []
        waiting = self._waiting
        while waiting and len(singles) < self._settings.batch_max:
            first = waiting[0]
            if isinstance(first, _WaitingJob):
                if singles:
                    break
                waiting.popleft()
                return first
            waiting.popleft()
            if not first.future.cancelled():
                singles.append(first)
        if singles:
            self._bulks_alone_at = self._loop.time() + self._settings.bulk_beside_for_s
        slices = self._slices() if self._bulks else []
        return _Turn(singles, slices) if singles or slices else None

    def _slices(self) -> list[_Slice]:
        """Take the bulks' share, a small one beside single operations: of each as much as of the others.

        But one of which no more is left than fits into a turn is taken whole, in its turn: if two of those went on
        side by side, they would end together, and nothing would wait for the writer while they are answered.
        """
        alone = self._loop.time() >= self._bulks_alone_at
        turn = room = self._settings.bulk_alone if alone else self._settings.bulk_beside
        each = max(1, room // len(self._bulks))
        slices: list[_Slice] = []
        while self._bulks and room > 0:
            bulk = self._bulks.popleft()
            if bulk.answered.cancelled():
                self._in_bulks -= len(bulk.commands) - bulk.taken
                continue
            left = len(bulk.commands) - bulk.taken
            fits = left <= turn
            count = min(left if fits else each, room)
            slices.append(_Slice(bulk, bulk.taken, bulk.taken + count))
            bulk.taken += count
            room -= count
            self._in_bulks -= count
            if count < left:
                (self._bulks.appendleft if fits else self._bulks.append)(bulk)
        return slices

    def _give_up(self) -> None:
        """Refuse what waits and what comes: the writer has been away for longer than a call is to wait."""
        self._giving_up = None
        if self._refusal is None:
            self._refusal = unavailable
        while self._waiting:
            set_answer(self._waiting.popleft().future, unavailable())
        self._locked_out.refuse(unavailable())
        while self._bulks:
            bulk = self._bulks.popleft()
            bulk.resolve(bulk.taken, [unavailable()] * (len(bulk.commands) - bulk.taken))
        self._in_bulks = 0
        self._note_idle()

    def _note_idle(self) -> None:
        if self._sent or self._waiting or self._bulks or self._locked_out:
            self._idle.clear()
        else:
            self._idle.set()


def shards_of_lane(lane: int, lanes: int) -> list[int]:
    """Return the shards of one of `lanes` lanes."""
    return [shard for shard in range(SHARDS) if shard % lanes == lane]
