"""A worker: a serving process as it sees itself, alone or among several on one port; and when it is to stop.

A process that is told to stop while others serve on tells only its own callers: a client that asks the port for its
health is answered for all of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Protocol

from tollkeeper.engine.counts import NOTHING, Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class LeaveTurn(Protocol):
    """Of workers that stop together, one at a time tells its callers to go elsewhere: whose turn it is."""

    def take(self) -> bool:
        """Take the turn unless another worker has it; say whether it is ours."""
        ...

    def release(self) -> None:
        """Let another worker take it."""
        ...


class _Alone:
    """The turn of a server that has its port for itself."""

    def take(self) -> bool:
        return True

    def release(self) -> None:
        pass


ALONE = _Alone()


class Worker:
    """The worker `number` (from 0) of `of`. Belongs to one event loop.

    `on_leaving` is told of a signal to this process alone, where others serve on; `leave_turn` is shared with them.
    """

    def __init__(
        self,
        number: int = 0,
        of: int = 1,
        *,
        on_leaving: Callable[[], None] | None = None,
        leave_turn: LeaveTurn = ALONE,
    ) -> None:
        self.number = number
        self.of = of
        self.leave_turn = leave_turn
        self.stopping = asyncio.Event()
        self.others_serve = False
        """Whether the port is served still when this process has stopped."""
        self.count: Callable[[], Counts] = lambda: NOTHING
        """Counts what was done so far; there is nothing before the first call is taken."""
        self.hindered = False
        """Whether calls cannot be served for now, for a reason that an operator must see to."""
        self.answers = False
        """Whether calls are taken, or were."""
        self._signals = 0
        self._on_leaving = on_leaving

    @property
    def name(self) -> str:
        """Return what the log calls this process; nothing where there is no other."""
        return f"worker-{self.number}" if self.of > 1 else ""

    @property
    def serves(self) -> bool:
        """Say whether calls are taken, and can be served."""
        return self.answers and not self.hindered and not self.stopping.is_set()

    def begin(self, count: Callable[[], Counts]) -> None:
        """Take note that calls are taken from now on, and how they are counted."""
        self.count = count
        self.answers = True

    def listen_to_signals(self) -> None:
        """Stop at the first signal; end the process at the second."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.add_signal_handler(each, self._signalled, each)

    def stop(self, *, others_serve: bool = False) -> None:
        """Stop. Told again, what was said last of the others holds."""
        self.others_serve = others_serve
        self.stopping.set()

    def share_of(self, shards: Sequence[int]) -> Sequence[int]:
        """Return the shards whose background work is this worker's; all workers together have each of them once."""
        return shards[self.number :: self.of]

    def _signalled(self, number: int) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)
        if self.stopping.is_set():
            return  # the supervisor's word for the same stop was quicker
        self.stop(others_serve=self._on_leaving is not None)
        if self._on_leaving is not None:
            self._on_leaving()
