"""A worker slot: one number among the workers that share the port. Its process is replaced when it leaves or is lost.

A process that was told to leave is replaced while it still answers what is in flight. One that was lost is replaced at
once, and after a pause where it was lost soon after its start; where that happens again and again, nothing is gained by
going on. A database that cannot be reached is no such case: it may come back, and the other processes wait for it too.
Neither are TLS files that cannot be used: the other processes serve on with those from before.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING

from tollkeeper.certificates import TlsFilesError
from tollkeeper.engine.counts import NOTHING
from tollkeeper.engine.ports import UnavailableError
from tollkeeper.monitoring.view import WorkerView
from tollkeeper.supervisor.child import Child, start_child

if TYPE_CHECKING:
    from tollkeeper.core.commands import PublishPrices
    from tollkeeper.supervisor.messages import WorkerSpec

log = logging.getLogger(__name__)

STEADY_S = 10.0
"""A process that has lasted so long was not lost by its start."""
LOSSES_MAX = 5
"""Processes that may be lost in a row, each soon after its start."""

_BACK_OFF_S = 0.1
_BACK_OFF_MAX_S = 5.0


class WorkerLostError(Exception):
    """A serving process ends again and again, or ended before it served the first time."""


class WorkerSlot:
    """A number among the workers, the process that has it now, and those that are leaving."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.number = spec.number
        self.leaving: set[Child] = set()
        self._spec = spec
        self._child: Child | None = None
        self._ended = NOTHING
        self._restarts = 0
        self._lost = 0
        """Processes lost in a row, each soon after its start."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def children(self) -> list[Child]:
        """Return the processes that have not ended."""
        all_of_it = [*self.leaving, *([self._child] if self._child is not None else [])]
        return [child for child in all_of_it if not child.ended.done()]

    async def begin(self, publication: PublishPrices | None = None) -> None:
        """Start the first process. Raises what keeps it from serving."""
        child = await self._start(publication)
        if not await child.served():
            raise child.failure or WorkerLostError(
                f"worker {self.number} ended with exit code {child.ended.result()} before it served"
            )

    async def keep(self) -> None:
        """Replace the process whenever it leaves or is lost, for ever. Raises WorkerLostError."""
        loop = asyncio.get_running_loop()
        while True:
            child, served_at = self._child, loop.time()
            assert child is not None  # noqa: S101 - there is one from the begin on
            await child.left()
            if child.leaving:
                log.warning("worker %d (%d) is leaving; starting another", self.number, child.pid)
                self._lost = 0
                self._see_out(child)
            else:
                if loop.time() - served_at > STEADY_S:
                    self._lost = 0
                await self._after_loss(child)
            await self._replace()

    async def _replace(self) -> None:
        waited = 0
        while True:
            child = await self._start(None)
            self._restarts += 1
            if await child.served() or child.leaving:
                return
            if isinstance(child.failure, UnavailableError | TlsFilesError):
                log.error("worker %d does not start: %s", self.number, child.failure)
                self._forget(child)
                await asyncio.sleep(_back_off_s(waited))
                waited += 1
            else:
                await self._after_loss(child)

    async def _after_loss(self, child: Child) -> None:
        """Wait as long as a lost process is worth. Raises WorkerLostError where it is one too many."""
        code = child.ended.result()
        why = f": {child.failure}" if child.failure is not None else ""
        log.error("worker %d (%d) ended with %d%s", self.number, child.pid, code, why)
        self._forget(child)
        self._lost += 1
        if self._lost >= LOSSES_MAX:
            raise WorkerLostError(
                f"worker {self.number} ended {self._lost} times in a row soon after its start, "
                f"with exit code {code} the last time{why}"
            )
        await asyncio.sleep(_back_off_s(self._lost - 1) if self._lost > 1 else 0)

    async def _start(self, publication: PublishPrices | None) -> Child:
        spec = self._spec
        if publication is not None:
            spec = dataclasses.replace(spec, publication=publication)
        self._child = await start_child(spec)
        return self._child

    def _see_out(self, child: Child) -> None:
        """Let a process end that is leaving; its counts are kept."""
        self.leaving.add(child)

        async def wait() -> None:
            if code := await child.ended:
                log.error("worker %d (%d) ended with %d", self.number, child.pid, code)
            self.leaving.discard(child)
            self._forget(child)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self, child: Child) -> None:
        """Keep the counts of a process that has ended."""
        self._ended = child.counts.after(self._ended)
        if self._child is child:
            self._child = None

    async def look(self) -> WorkerView:
        """Ask its processes for their counts, and return how it is; none is waited for for long."""
        await asyncio.gather(*[child.count() for child in self.children])
        counts = self._ended
        for child in self.leaving:
            counts = child.counts.after(counts)
        here = self._child
        if here is not None and here not in self.leaving:
            counts = here.counts.after(counts)
        if here is not None and here.ended.done():
            here = None
        return WorkerView(
            number=self.number,
            pid=here.pid if here else None,
            since_s=here.since_s if here else 0.0,
            restarts=self._restarts,
            serves=here is not None and here.serves,
            answers=here is not None and here.answers,
            counts=counts,
        )


def _back_off_s(turn: int) -> float:
    return min(_BACK_OFF_S * 2**turn, _BACK_OFF_MAX_S)
