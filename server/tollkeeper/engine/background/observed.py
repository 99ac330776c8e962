"""What an engine tells for metrics beside its lanes' counts: their work, the backlog, and how late the mover is."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from tollkeeper.core.errors import Refused
from tollkeeper.engine.work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.engine.background.backlog import BacklogWatch
    from tollkeeper.engine.background.mover import Mover
    from tollkeeper.engine.counts import Backlog
    from tollkeeper.engine.lanes.lane import Lane

log = logging.getLogger(__name__)

_LAST_WITHIN_S = 1.0
"""How long a stop waits for what the writers have to tell of their work."""


class Observed:
    """Belongs to the event loop of its engine."""

    def __init__(self, lanes: Sequence[Lane], watch: BacklogWatch | None) -> None:
        self._lanes = lanes
        self._watch = watch
        self.mover: Mover | None = None
        """None where another engine moves out."""

    def begin(self) -> list[asyncio.Task[None]]:
        """Look at the backlog from now on, if that was asked for; return the tasks that do it."""
        return [asyncio.create_task(self._watch.run())] if self._watch else []

    async def hear(self) -> None:
        """Let the writers tell what they have done, where that is measured."""
        for lane in self._lanes:
            try:
                await lane.hear_work()
            except Refused:
                continue  # the writer is away, or the lane stops
            except Exception:
                log.exception("a writer did not tell its work; it is asked again")

    async def end(self) -> None:
        """Let them tell for the last time, within a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WITHIN_S):
                await self.hear()

    @property
    def work(self) -> Work:
        """Return what the lanes have done, as far as their writers have told."""
        done = Work()
        for lane in self._lanes:
            done.add(lane.work)
        return done

    @property
    def backlog(self) -> Backlog | None:
        """Return what waited in the ledger when it was looked at last; None before that."""
        return self._watch.seen if self._watch else None

    @property
    def mover_lag_s(self) -> float | None:
        """Return by how much moving out is behind, in seconds; None where another engine does it."""
        return self.mover.lag_s if self.mover else None
