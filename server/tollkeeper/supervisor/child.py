"""A serving process as its supervisor sees it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tollkeeper.engine.counts import NOTHING
from tollkeeper.supervisor.messages import (
    Count,
    Counted,
    Leaving,
    Link,
    NotServing,
    Serving,
    StopAll,
    WorkerSpec,
)

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

log = logging.getLogger(__name__)

WORKER_MODULE = "tollkeeper.supervisor.worker_process"

_COUNT_WITHIN_S = 1.0
"""How long a process may take to tell its counts; then the last ones stand for it."""


class Child:
    """One serving process, from its start to its end."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid
        self.since_s = time.time()
        self.counts = NOTHING
        """What it said last."""
        self.answers = False
        """Whether it told them when it was asked last."""
        self.serves = False
        self.leaving = False
        """Whether it was told to stop, and not by us."""
        self.failure: Exception | None = None
        """Why it does not serve, where it has said so."""
        self.link = Link(self._on_message)
        self.ended = asyncio.create_task(self._end())
        """Done with the exit code, when all that it said is heard."""
        self._news = asyncio.Event()
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[None]] = {}

    async def served(self) -> bool:
        """Wait until it takes calls, or has ended without."""
        await self._until(lambda: self.serves)
        return self.serves

    async def left(self) -> None:
        """Wait until it is leaving, or has ended."""
        await self._until(lambda: self.leaving)

    def stop(self) -> None:
        """Tell it to stop as all do."""
        self.serves = False
        self.link.send(StopAll())

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        if self._process.returncode is None:
            self._process.kill()

    async def count(self) -> None:
        """Ask for its counts, and wait a moment for them."""
        number = next(self._numbers)
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        self.link.send(Count(number))
        try:
            async with asyncio.timeout(_COUNT_WITHIN_S):
                await asyncio.wait((answered, self.ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass
        finally:
            del self._asked[number]
        self.answers = answered.done()

    async def _end(self) -> int:
        code = await self._process.wait()
        await self.link.lost.wait()
        self.serves = False
        return code

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition() and not self.ended.done():
            self._news.clear()
            news = asyncio.create_task(self._news.wait())
            await asyncio.wait((news, self.ended), return_when=asyncio.FIRST_COMPLETED)
            news.cancel()

    def _on_message(self, message: object) -> None:
        match message:
            case Serving():
                self.serves = True
            case NotServing():
                self.failure = message.error
            case Leaving():
                self.serves = False
                self.leaving = True
            case Counted():
                self.counts = message.counts
                if message.number is not None and (asked := self._asked.get(message.number)):
                    asked.set_result(None)
            case _:
                log.error("worker said %r", message)
        self._news.set()


async def start_child(spec: WorkerSpec) -> Child:
    """Start a process and tell it its spec."""
    ours, theirs = socket.socketpair()
    with ExitStack() as on_failure:
        on_failure.callback(ours.close)
        with theirs:
            # Not in our session: a terminal's Ctrl-C is for the supervisor, which stops all in order.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", WORKER_MODULE, f"worker-{spec.number}"),
                stdin=theirs.fileno(),
                pass_fds=(spec.leave_lock,),
                start_new_session=True,
            )
        child = Child(process)
        await asyncio.get_running_loop().create_connection(lambda: child.link, sock=ours)
        on_failure.pop_all()
    child.link.send(spec)
    return child
