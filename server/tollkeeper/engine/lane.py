"""A lane: the queue before a worker. What waits while one batch runs is the next batch.

No timers and nothing to tune: alone, an operation goes at once; under load, batches grow by themselves. An
answer is given only after the database has made its effect durable, and the event loop is woken once a batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.attempt import Result
from tollkeeper.engine.fold import Command, Reply
from tollkeeper.engine.worker import Execute, Job, Task, unavailable

if TYPE_CHECKING:
    from tollkeeper.engine.settings import EngineSettings


class Host(Protocol):
    """Where a lane's worker lives. It has one task at a time; its methods belong to the event loop."""

    async def start(self, lane: Lane) -> None:
        """Bring the worker up; tell the lane `up`, `answered` for each task, and `down` when the worker is lost."""
        ...

    def send(self, task: Task) -> None:
        """Give the worker a task."""
        ...

    async def stop(self) -> None:
        """Let the worker finish, and wait until it has ended."""
        ...


HostOf = Callable[[str, Sequence[int]], Host]
"""Makes the host of a lane's worker, given the lane's name and shards."""


class _Operation(NamedTuple):
    command: Command
    future: asyncio.Future[Reply]


class _WaitingJob(NamedTuple):
    job: Job
    future: asyncio.Future[object]


class Lane:
    """Queues operations for one worker, hands it the next batch when it is free, and hands out the answers.

    Belongs to one event loop.
    """

    def __init__(self, host: Host, settings: EngineSettings) -> None:
        self._host = host
        self._settings = settings
        self._waiting: deque[_Operation | _WaitingJob] = deque()
        self._running: list[_Operation] | _WaitingJob | None = None
        self._is_up = False
        self._turn_is_due = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._refusal: Callable[[], Refused] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Bring the worker up. Raises what keeps it from that."""
        self._loop = asyncio.get_running_loop()
        await self._host.start(self)

    async def stop(self) -> None:
        """Refuse what comes from now on, carry out what waits, and let the worker end."""
        self._refusal = shutting_down
        await self._idle.wait()
        await self._host.stop()
        if self._giving_up is not None:
            self._giving_up.cancel()

    def submit(self, command: Command) -> asyncio.Future[Reply]:
        """Queue an operation. Raises Refused where the queue is full, the worker is gone, or the lane is stopping."""
        if self._refusal is not None:
            raise self._refusal()
        if len(self._waiting) >= self._settings.queue_max:
            raise Refused(
                Reason.OVERLOADED,
                f"{self._settings.queue_max} operations are waiting already",
            )
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append(_Operation(command, future))
        self._take_turn_soon()
        return future

    def submit_job(self, job: Job) -> asyncio.Future[object]:
        """Queue a job, which has the worker to itself. Raises Refused as `submit` does."""
        if self._refusal is not None:
            raise self._refusal()
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting.append(_WaitingJob(job, future))
        self._take_turn_soon()
        return future

    # -- what the host tells

    def up(self) -> None:
        """Take note that the worker is there, for the first time or again."""
        self._is_up = True
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        if self._refusal is unavailable:
            self._refusal = None
        self._take_turn()

    def down(self) -> None:
        """Take note that the worker is lost; what it had may or may not be done, and its keys tell."""
        self._is_up = False
        running, self._running = self._running, None
        _resolve(running, unavailable())
        if self._giving_up is None:
            self._giving_up = self._loop.call_later(self._settings.retry_for_s, self._give_up)
        self._note_idle()

    def answered(self, answer: object) -> None:
        """Hand out what the worker has answered to its task."""
        running, self._running = self._running, None
        self._take_turn()  # first, so that it works while the answers are handed out
        _resolve(running, answer)

    # -- turns

    def _take_turn_soon(self) -> None:
        """Take a turn when everything that arrives in this round of the event loop has arrived."""
        self._idle.clear()
        if self._running is None and not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_is_due = False
        if self._running is not None or not self._is_up:
            return
        self._running = self._next()
        if isinstance(self._running, _WaitingJob):
            self._host.send(self._running.job)
        elif self._running is not None:
            self._host.send(Execute([each.command for each in self._running]))
        self._note_idle()

    def _next(self) -> list[_Operation] | _WaitingJob | None:
        """Take what the worker gets next: a job, or all operations before the next job, up to a bound."""
        batch: list[_Operation] = []
        waiting = self._waiting
        while waiting and len(batch) < self._settings.batch_max:
            first = waiting[0]
            if isinstance(first, _WaitingJob):
                if batch:
                    break
                waiting.popleft()
                return first
            waiting.popleft()
            if not first.future.cancelled():
                batch.append(first)
        return batch or None

    def _give_up(self) -> None:
        """Refuse what waits and what comes: the worker has been away for longer than a call is to wait."""
        self._giving_up = None
        if self._refusal is None:
            self._refusal = unavailable
        while self._waiting:
            first = self._waiting.popleft()
            _resolve(first if isinstance(first, _WaitingJob) else [first], unavailable())
        self._note_idle()

    def _note_idle(self) -> None:
        if self._running is None and not self._waiting:
            self._idle.set()


def shutting_down() -> Refused:
    """Return the refusal of a call that comes during shutdown."""
    return Refused(
        Reason.SHUTTING_DOWN,
        "the server is shutting down; try another, or again",
    )


def _resolve(running: list[_Operation] | _WaitingJob | None, answer: object) -> None:
    if isinstance(running, _WaitingJob):
        _set(running.future, answer)
    elif running is not None and isinstance(answer, BaseException):
        for operation in running:
            _set(operation.future, answer)
    elif running is not None:
        for operation, result in zip(running, cast("Sequence[Result]", answer), strict=True):
            _set(operation.future, result)


def _set(future: asyncio.Future[Reply] | asyncio.Future[object], answer: object) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        cast("asyncio.Future[object]", future).set_result(answer)
