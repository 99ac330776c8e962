"""A lane: the queue before a writer. What waits while one batch runs is the next batch.

No timers and nothing to tune: alone, an operation goes at once; under load, batches grow by themselves. An
answer is given only after the database has made its effect durable, and the event loop is woken once a batch.

A turn leaves operations for the next one, so that the writer works while the event loop hands out answers. Lanes of one
engine work side by side where each has enough to do, and else one takes a turn for all (decision 0043).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from tollkeeper.core.account import SHARDS
from tollkeeper.core.defaults import US_PER_S
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.counts import LaneCounts
from tollkeeper.engine.lanes.fold import Command, Reply
from tollkeeper.engine.lanes.locked_out import LockedOut, Operation, set_answer
from tollkeeper.engine.lanes.silence import shows_the_store
from tollkeeper.engine.lanes.turns import Bulk, Queue, Turn, WaitingJob
from tollkeeper.engine.lanes.writer import Execute, Job, Task, TellWork
from tollkeeper.engine.unavailable import shutting_down, unavailable
from tollkeeper.engine.work import Work

if TYPE_CHECKING:
    from tollkeeper.engine.lanes.attempt import Result
    from tollkeeper.engine.settings import EngineSettings


SHARES = 2
"""A turn takes at most one part in so many of the operations that wait or that the writer has."""
TURN_MIN = 500
"""So many go together all the same: with fewer, a transaction costs more than the time that is not waited."""


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


class _Part(NamedTuple):
    """What a turn has of one lane."""

    lane: Lane
    turn: Turn


class Lane:
    """Queues operations for one writer, hands it the next batch when it is free, and hands out the answers.

    Belongs to one event loop. Lanes that have been told of each other share turns; see `share_turns`.
    """

    def __init__(self, host: Host, settings: EngineSettings) -> None:
        self._host = host
        self._settings = settings
        self._others: Sequence[Lane] = ()
        self._queue = Queue(settings, self._time)
        self._locked_out = LockedOut(settings.retry_for_s, self._come_again)
        self._sent: deque[list[_Part] | WaitingJob] = deque()
        """What the writer has, and what it goes on with."""
        self._enough = TURN_MIN
        self._carriers: list[Lane] = []
        """The lane whose turns have operations of this one, once for each of those turns."""
        self._is_up = False
        self._batches = 0
        self._operations = 0
        self._losses = 0
        self.work = Work()
        """What this lane and its writer have done, where that is measured."""
        self._answered_s = 0.0
        """When an answer last showed that the store is there, by the event loop's clock."""
        self._turn_is_due = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._refusal: Callable[[], Refused] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Bring the writer up. Raises what keeps it from that."""
        self._loop = asyncio.get_running_loop()
        await self._host.start(self)
        self._answered_s = self._loop.time()

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
        if len(self._queue.singles) + len(self._locked_out) >= self._settings.queue_max:
            raise Refused(
                Reason.OVERLOADED,
                f"{self._settings.queue_max} operations are waiting already",
            )
        self._check_wait()
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._queue.add(Operation(command, future, self._loop.time()))
        self._take_turn_soon()
        return future

    def submit_all(self, commands: Sequence[Command]) -> asyncio.Future[list[Result]]:
        """Queue the operations of one call, to be carried out in their order; each has a result of its own.

        Raises Refused as `submit` does, for all of them. Where the future is cancelled, those that the writer has
        not been given are dropped.
        """
        if self._refusal is not None:
            raise self._refusal()
        if self._queue.in_bulks + len(commands) > self._settings.bulk_queue_max:
            raise Refused(
                Reason.OVERLOADED,
                f"{self._queue.in_bulks} operations of batches are waiting already",
            )
        self._check_wait()
        answered: asyncio.Future[list[Result]] = self._loop.create_future()
        if not commands:
            answered.set_result([])
            return answered
        self._queue.add_bulk(Bulk(commands, answered, self._loop.time()))
        self._take_turn_soon()
        return answered

    def _check_wait(self) -> None:
        """Refuse an operation that would wait for too long: its caller may be gone by then. Raises Refused."""
        late_s = self._queue.late_s
        if late_s > self._settings.queue_for_s:
            raise Refused(
                Reason.OVERLOADED,
                f"{self._queue.size} operations are waiting already, the first for {late_s:.1f} s",
                retry_after_us=int(late_s * US_PER_S),
            )

    def submit_job(self, job: Job) -> asyncio.Future[object]:
        """Queue a job, which has the writer to itself. Raises Refused as `submit` does."""
        if self._refusal is not None:
            raise self._refusal()
        future: asyncio.Future[object] = self._loop.create_future()
        self._queue.add(WaitingJob(job, future))
        self._take_turn_soon()
        return future

    async def hear_work(self) -> None:
        """Let the writer tell what it has done since it told last. Raises Refused as `submit` does."""
        if self._settings.measures:
            told = self.submit_job(TellWork())
            told.add_done_callback(self._add_work)
            await asyncio.shield(
                told
            )  # the writer has told it, also where no caller waits any more

    def _add_work(self, told: asyncio.Future[object]) -> None:
        if not told.cancelled() and told.exception() is None:
            self.work.add(cast("Work", told.result()))

    @property
    def counts(self) -> LaneCounts:
        """Return what was done so far, and what waits."""
        return LaneCounts(
            waiting=self._queue.size + len(self._locked_out),
            batches=self._batches,
            operations=self._operations,
            losses=self._losses,
            silent_s=self._loop.time() - self._answered_s,
        )

    @property
    def is_quiet(self) -> bool:
        """Say whether nothing waits for the writer and no single operation has come for a second."""
        return self._idle.is_set() and self._queue.bulks_are_alone

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
        self._wake_others()

    def answered(self, answer: object) -> None:
        """Hand out what the writer has answered to its task."""
        done = self._sent.popleft()
        if shows_the_store(done.job if isinstance(done, WaitingJob) else None, answer):
            self._answered_s = self._loop.time()
        self._take_turn()  # first, so that it works while the answers are handed out
        self._resolve(done, answer)
        self._note_idle()
        self._wake_others()

    def _resolve(self, done: list[_Part] | WaitingJob, answer: object) -> None:
        if isinstance(done, WaitingJob):
            set_answer(done.future, answer)
            return
        if isinstance(answer, BaseException):
            for each in done:
                each.turn.fail(answer)
        else:
            results, at = cast("Sequence[Result]", answer), 0
            for lane, turn in done:
                lane.resolve(turn, results[at : at + turn.size])
                at += turn.size
        for lane, _ in done[1:]:
            lane.put_down(self)

    def resolve(self, turn: Turn, results: Sequence[Result]) -> None:
        """Hand out the results of a turn of this lane's operations."""
        if again := turn.resolve(results):
            self._locked_out.add(again)

    def _come_again(self, operations: Sequence[Operation]) -> None:
        now = self._time()  # they have waited for their accounts, and not for the writer
        self._queue.add_again([each._replace(since=now) for each in operations])
        self._take_turn_soon()

    # -- turns

    def _take_turn_soon(self) -> None:
        """Take a turn when everything that arrives in this round of the event loop has arrived, or enough has."""
        self._idle.clear()
        if self._has_enough():
            self._take_turn()
        elif not self._sent and not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_is_due = False
        if not self._is_up or len(self._sent) > (1 if self._has_enough() else 0):
            return
        if not self._may_go():
            return
        population = self._queue.size + sum(map(_size, self._turns))
        self._enough = max(TURN_MIN, population // SHARES)
        following = self._queue.take(min(self._enough, self._settings.batch_max))
        if following is None:
            self._note_idle()
            return
        if isinstance(following, WaitingJob):
            self._sent.append(following)
            self._host.send(following.job)
            return
        parts = [_Part(self, following)]
        for lane in self._others:
            turn = lane.hand_over(self, self._settings.batch_max - _size(parts))
            if turn is not None:
                parts.append(_Part(lane, turn))
        self._sent.append(parts)
        self._batches += 1
        self._operations += _size(parts)
        if self._settings.measures:
            self.work.batch_sizes.add(_size(parts))
            for _, turn in parts:
                turn.note_waits(self.work, self._time())
        self._host.send(Execute([each for _, turn in parts for each in turn.commands()]))
        if len(self._sent) == 1 and self._has_enough():
            self._take_turn()

    def _has_enough(self) -> bool:
        """Say whether there is enough for a turn that does not wait for more; of bulks, where they are alone."""
        queue = self._queue
        if len(queue.singles) >= self._enough:
            return True
        return queue.in_bulks >= self._enough and queue.bulks_are_alone

    # -- turns of several lanes: never two at once with operations of one lane

    def share_turns(self, lanes: Sequence[Lane]) -> None:
        """Share turns with these lanes, of which this is one."""
        self._others = [each for each in lanes if each is not self]

    @property
    def is_at_work(self) -> bool:
        """Say whether the writer has operations."""
        return bool(self._turns)

    @property
    def _turns(self) -> list[list[_Part]]:
        """Return what the writer has that is no job."""
        return [each for each in self._sent if isinstance(each, list)]

    def _may_go(self) -> bool:
        """Say whether to take a turn: not while another lane has operations of ours, or works and few wait here."""
        if self._carriers:
            return False
        if self._queue.size >= self._settings.apart_min or self._queue.job_is_next:
            return True
        return not any(each.is_at_work for each in self._others)

    def hand_over(self, carrier: Lane, room: int) -> Turn | None:
        """Give another lane's turn what waits here, where that is little, fits into `room`, and the writer is free."""
        waiting = self._queue.size
        if not 0 < waiting < self._settings.apart_min or waiting > room or self._queue.job_is_next:
            return None
        if not self._is_up or self._sent or (self._carriers and self._carriers[0] is not carrier):
            return None
        turn = self._queue.take(self._settings.apart_min)
        if not isinstance(turn, Turn):  # no caller waits any more
            self._note_idle()
            return None
        self._carriers.append(carrier)
        return turn

    def put_down(self, carrier: Lane) -> None:
        """Take note that a turn that had operations of this lane has ended."""
        self._carriers.remove(carrier)
        self._note_idle()

    def look_again(self) -> None:
        """Take a turn if operations wait and the writer has nothing: another lane has ended one."""
        if self._queue.size and not self._sent:
            self._take_turn()

    def _wake_others(self) -> None:
        for lane in self._others:
            lane.look_again()

    def _give_up(self) -> None:
        """Refuse what waits and what comes: the writer has been away for longer than a call is to wait."""
        self._giving_up = None
        if self._refusal is None:
            self._refusal = unavailable
        self._queue.refuse(unavailable)
        self._locked_out.refuse(unavailable())
        self._note_idle()

    def _note_idle(self) -> None:
        if self._sent or self._queue.size or self._locked_out or self._carriers:
            self._idle.clear()
        else:
            self._idle.set()

    def _time(self) -> float:
        return self._loop.time()


def _size(parts: Sequence[_Part]) -> int:
    return sum(part.turn.size for part in parts)


def shards_of_lane(lane: int, lanes: int) -> list[int]:
    """Return the shards of one of `lanes` lanes."""
    return [shard for shard in range(SHARDS) if shard % lanes == lane]
