"""A writer in a process of its own: how a server runs its lanes.

In a thread, the writer and the event loop take the interpreter's lock from each other: a batch of 17 took SQLite
2.8 ms alone and 12 ms beside a busy loop (measured). Here each has an interpreter. Tasks and answers go as pickles
over a socket pair, both ends of which are ours, each with its length before it.

The process ends when its end of the socket is closed, so none outlives its server, however that ends. One that is
lost is replaced; what it was doing is answered STORE_UNAVAILABLE, because it may or may not have been done, and the
callers' repeats find out by their keys.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollkeeper.engine.lanes import wire
from tollkeeper.ipc import FramedLink

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Sequence

    from tollkeeper.engine.lanes.lane import Lane
    from tollkeeper.engine.lanes.writer import Task
    from tollkeeper.engine.ports import Store
    from tollkeeper.engine.settings import EngineSettings

log = logging.getLogger(__name__)

WRITER_MODULE = "tollkeeper.engine.hosts.writer_process"

_BACK_OFF_S = 0.1
_BACK_OFF_MAX_S = 5.0
_STOP_S = 30.0
"""How long a writer may take to end: longer than its database may take to answer."""

_HUNG_AFTER = 4
"""A writer that answers nothing for so many times as long as its database may take is taken for lost."""

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class WriterSpec:
    """What a writer's process is told first. The functions are pickled by name: module-level, or partials of such."""

    begin: Callable[[], None]
    """Called first, for what a process has once, such as its log."""
    ready: Callable[[], None]
    """Called when everything is loaded."""
    open_store: Callable[[], Store]
    shards: Sequence[int]
    settings: EngineSettings


class WriterLostError(Exception):
    """A writer's process ended before it was ready."""


class ProcessHost:
    """See `lane.Host`."""

    def __init__(self, name: str, plan: WriterSpec) -> None:
        self._name = name
        self._plan = plan
        self._link: FramedLink | None = None
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._overseer: asyncio.Task[None] | None = None
        self._unanswered = 0
        self._answers = 0
        self._killed = False

    async def start(self, lane: Lane) -> None:
        """Start the process and wait until it is ready. Raises what its store raised, or WriterLostError."""
        self._lane = lane
        await self._bring_up()
        self._keeper = asyncio.create_task(self._keep())
        self._overseer = asyncio.create_task(self._oversee())

    def send(self, task: Task) -> None:
        """Give the writer a task."""
        assert self._link is not None  # noqa: S101 - the lane sends only while the writer is up
        self._unanswered += 1
        self._link.write(wire.write_task(task))

    async def stop(self) -> None:
        """Let the process finish and end; one that does not is killed."""
        if self._keeper is None or self._overseer is None:
            return
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        await self._end()
        self._overseer.cancel()

    def kill(self) -> None:
        """Kill the process, and start no other."""
        self._killed = True
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _oversee(self) -> None:
        """Kill a process that has a task and answers nothing, such as one that is stopped; `_keep` replaces it.

        The time is counted in looks: where this process was stopped as well, none has passed.
        """
        looks, answers = 0, self._answers
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            quiet = self._unanswered > 0 and self._answers == answers
            looks, answers = looks + 1 if quiet else 0, self._answers
            if looks * _LOOK_EVERY_S > _HUNG_AFTER * self._plan.settings.answer_within_s:
                log.error("writer %s has not answered for %d s; killing it", self._name, looks)
                looks = 0
                self._kill()

    def _answered(self, answer: object) -> None:
        self._unanswered -= 1
        self._answers += 1
        self._lane.answered(answer)

    async def _keep(self) -> None:
        """Replace the process whenever it is lost."""
        while True:
            assert self._link is not None  # noqa: S101 - brought up before
            await self._link.lost.wait()
            self._unanswered = 0
            self._lane.down()
            await self._end()
            if self._killed:
                return
            log.error("writer %s was lost; starting another", self._name)
            back_off_s = _BACK_OFF_S
            while True:
                try:
                    await self._bring_up()
                except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                    log.error("writer %s does not start: %s", self._name, error)  # noqa: TRY400
                    await asyncio.sleep(back_off_s)
                    back_off_s = min(2 * back_off_s, _BACK_OFF_MAX_S)
                else:
                    break

    async def _bring_up(self) -> None:
        ours, theirs = socket.socketpair()
        with ExitStack() as on_failure:
            on_failure.callback(ours.close)
            with theirs:
                # Not in our session: a terminal's Ctrl-C is for the server, which ends its writers in order.
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", WRITER_MODULE, self._name),
                    stdin=theirs.fileno(),
                    start_new_session=True,
                )
            loop = asyncio.get_running_loop()
            ready: asyncio.Future[object] = loop.create_future()
            link = FramedLink(wire.read_answer, ready.set_result)
            await loop.create_connection(lambda: link, sock=ours)
            on_failure.pop_all()
        self._link = link
        link.write(pickle.dumps(self._plan, wire.PROTOCOL))
        lost = asyncio.create_task(link.lost.wait())
        await asyncio.wait((ready, lost), return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        failure = ready.result() if ready.done() else WriterLostError("it ended at once")
        if isinstance(failure, Exception):
            await self._end()
            raise failure
        link.on_message = self._answered
        self._lane.up()

    async def _end(self) -> None:
        """Close our end of the socket, which ends the process, and wait for that."""
        if self._link is not None:
            self._link.close()
        if self._process is None:
            return
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            log.error("writer %s does not end; killing it", self._name)  # noqa: TRY400
            self._kill()
            await self._process.wait()
