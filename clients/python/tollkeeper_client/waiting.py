"""How a caller waits: a task on its event loop, or a thread. All else is the same for both.

A caller waits until it is woken or until a time; being woken means no more than: look again. What there is to see
is always there before the waking.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable

T = TypeVar("T")


class Waiter(Protocol):
    """A caller, as the code that wakes it sees it."""

    @property
    def place(self) -> Hashable:
        """Those with the same place are woken together."""
        ...

    def soon(self, act: Callable[[], None]) -> None:
        """Act once those that are ready to run at this moment have had their turn."""
        ...

    @staticmethod
    def wake(waiters: list[Any]) -> None:
        """Wake callers of one place, from any thread."""
        ...


class Task:
    """A task; `place` is its event loop, which is woken once for all of its tasks."""

    __slots__ = ("_future", "place")

    def __init__(self) -> None:
        self.place = asyncio.get_running_loop()
        self._future: asyncio.Future[None] | None = None

    def soon(self, act: Callable[[], None]) -> None:
        """Act in the loop's next turn."""
        self.place.call_soon(act)

    async def take(self, steps: Generator[float, None, T]) -> T:
        """Take the steps of a call. Raises what they raise."""
        try:
            while True:
                await self._wait(next(steps))
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    async def _wait(self, until_s: float) -> None:
        self._future = self.place.create_future()
        timer = self.place.call_later(until_s - time.monotonic(), self.look_again)
        try:
            await self._future
        finally:
            timer.cancel()

    def look_again(self) -> None:
        """End the wait, on the loop itself."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    @staticmethod
    def wake(waiters: list[Task]) -> None:
        """Wake tasks of one loop."""
        with contextlib.suppress(
            RuntimeError
        ):  # the loop is closed: no caller waits there any more
            waiters[0].place.call_soon_threadsafe(_look_again, waiters)


def _look_again(tasks: list[Task]) -> None:
    for task in tasks:
        task.look_again()


class Thread:
    """A thread."""

    __slots__ = ("_asleep",)

    place = "threads"

    def __init__(self) -> None:
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def soon(self, act: Callable[[], None]) -> None:
        """Let go of the interpreter once, then act."""
        time.sleep(0)
        act()

    def take(self, steps: Generator[float, None, T]) -> T:
        """Take the steps of a call. Raises what they raise."""
        try:
            while True:
                wait_s = next(steps) - time.monotonic()
                self._asleep.acquire(timeout=min(max(wait_s, 0), threading.TIMEOUT_MAX))
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    @staticmethod
    def wake(waiters: list[Thread]) -> None:
        """Wake threads."""
        for waiter in waiters:
            with contextlib.suppress(RuntimeError):  # it is awake already
                waiter._asleep.release()  # noqa: SLF001 - of this class
