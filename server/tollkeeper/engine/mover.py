"""Lets a lane move old reservations out without being noticed: when nothing waits, and for a share of its time.

Nobody is in a hurry here. But a lane on a slow disk has something waiting all day at a load that it bears with ease, so
after a second without a free moment one small batch is moved out all the same.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from tollkeeper.core.errors import Refused
from tollkeeper.engine.worker import ForgetWindows, MoveOutAged

if TYPE_CHECKING:
    from tollkeeper.engine.lane import Lane
    from tollkeeper.engine.settings import EngineSettings

log = logging.getLogger(__name__)


class Mover:
    """Moves out for one lane; belongs to its event loop."""

    def __init__(self, lane: Lane, settings: EngineSettings) -> None:
        self._lane = lane
        self._settings = settings
        self._rest = 1 / settings.move_out_share - 1
        self._windows_looked_at: float | None = None

    async def run(self) -> None:
        """Go round after round, until it is cancelled."""
        while True:
            await asyncio.sleep(self._settings.move_out_every_s)
            try:
                await self._round()
            except Refused as refused:
                log.warning("move out: %s", refused.message)
            except Exception:
                log.exception("moving out failed; it is tried again")

    async def _round(self) -> None:
        while await self._paced(MoveOutAged()):
            pass
        now = asyncio.get_running_loop().time()
        looked_at = self._windows_looked_at
        if looked_at is not None and now - looked_at < self._settings.forget_windows_every_s:
            return
        while await self._paced(ForgetWindows()):
            pass
        self._windows_looked_at = now

    async def _paced(self, job: MoveOutAged | ForgetWindows) -> bool:
        """Have one job done when the lane is free, then rest; say whether there is more."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.move_out_patience_s):
                await self._lane.free()
        begun = loop.time()
        more = await self._lane.submit_job(job)
        # Where nothing has come meanwhile, nobody was kept waiting, and the next can follow soon.
        await asyncio.sleep((loop.time() - begun) * (1 if self._lane.is_free else self._rest))
        return bool(more)
