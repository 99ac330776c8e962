"""Watches that stop a lane at one step until the test lets it go on, and that count its batches."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from tests.support.ledgers import leads
from tests.support.watched_store import Watch
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.ports import Needs, Writes

T = TypeVar("T")

LONGEST_S = 20.0
"""How long a lane waits for its test, so that a failing test ends."""


class Gate(Watch):
    """Stops the lane before it commits, once `shut`; `sizes` are the operations of each batch so far."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.written: list[Writes] = []
        self.reached = threading.Event()
        self._open = threading.Event()
        self._open.set()

    def shut(self) -> None:
        self.reached.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def is_reached(self) -> None:
        """Wait until the lane stands before the gate."""
        assert await asyncio.to_thread(self.reached.wait, LONGEST_S)

    def loading(self, needs: Needs) -> None:
        self.sizes.append(len(needs.requests) + len(needs.reservations) + len(needs.admin_digests))

    def writing(self, writes: Writes) -> None:
        self.written.append(writes)

    def committing(self) -> None:
        self.reached.set()
        assert self._open.wait(LONGEST_S)


async def turns(count: int = 20) -> None:
    """Let the event loop go round, so that whatever is ready has been done."""
    for _ in range(count):
        await asyncio.sleep(0)


async def in_one_batch(
    engine: Engine,
    gate: Gate,
    calls: Iterable[Coroutine[Any, Any, T]],
    *,
    before: Callable[[], None] | None = None,
) -> list[T]:
    """Hold the lane up with one operation, so that all calls wait together; return their answers.

    `before` is done when they all wait, before the lane goes on.
    """
    gate.shut()
    first = asyncio.create_task(engine.authorize(leads(f"first-{len(gate.sizes)}")))
    await gate.is_reached()
    tasks = [asyncio.create_task(call) for call in calls]
    await turns(2)
    if before:
        before()
    gate.open()
    await first
    return await asyncio.gather(*tasks)


async def answer_or_error(call: Coroutine[Any, Any, T]) -> T | Exception:
    """Make a call that may fail."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - handed to the test
        return error
