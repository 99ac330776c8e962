"""A writer in a thread of this process: for tests, which want to look into it, and for one-off use of an engine."""

from __future__ import annotations

import asyncio
import logging
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.engine.lanes.lane import Lane
    from tollkeeper.engine.lanes.writer import Task, Writer

log = logging.getLogger(__name__)


class ThreadHost:
    """See `lane.Host`. The interpreter's lock is shared with the event loop, which costs both (see `process_host`)."""

    def __init__(self, name: str, open_writer: Callable[[], Writer]) -> None:
        self._open_writer = open_writer
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def start(self, lane: Lane) -> None:
        """Open the writer and begin."""
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._writer = await asyncio.to_thread(self._open_writer)
        self._thread.start()
        lane.up()

    def send(self, task: Task) -> None:
        """Give the writer a task."""
        self._tasks.put(task)

    async def stop(self) -> None:
        """Let the writer finish."""
        self._tasks.put(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def kill(self) -> None:
        """Do nothing: a thread ends when its store is aborted."""

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            answer = self._writer.carry_out(task)
            try:
                self._loop.call_soon_threadsafe(self._lane.answered, answer)
            except RuntimeError:  # the loop is closed: no caller waits any more
                log.warning("an answer came after the event loop had closed")
            self._writer.follow_up()
        self._writer.close()
