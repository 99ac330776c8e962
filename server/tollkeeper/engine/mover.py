"""Lets a lane move old reservations out without being noticed: when nothing waits, and for a share of its time.

Nobody is in a hurry here. But a lane on a slow disk has something waiting all day at a load that it bears with ease, so
after a second without a free moment one small batch is moved out all the same. And what comes steadily has to go as
steadily: the longer something has been due, the larger the share, until as many go as come.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tollkeeper.core.errors import Refused
from tollkeeper.engine.worker import ForgetWindows, MoveOutAged

if TYPE_CHECKING:
    from tollkeeper.engine.lane import Lane
    from tollkeeper.engine.settings import EngineSettings

log = logging.getLogger(__name__)

US_PER_S = 1_000_000


class Mover:
    """Moves out for one lane; belongs to its event loop."""

    def __init__(self, lane: Lane, settings: EngineSettings) -> None:
        self._lane = lane
        self._settings = settings
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
        behind_us = 1
        while behind_us:
            behind_us = int(await self._paced(MoveOutAged(), behind_us))
        now = asyncio.get_running_loop().time()
        looked_at = self._windows_looked_at
        if looked_at is not None and now - looked_at < self._settings.forget_windows_every_s:
            return
        while await self._paced(ForgetWindows(), behind_us=0):
            pass
        self._windows_looked_at = now

    async def _paced(self, job: MoveOutAged | ForgetWindows, behind_us: int) -> int | bool:
        """Have one job done when the lane is free, then rest; return its answer."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.move_out_patience_s):
                await self._lane.free()
        begun = loop.time()
        answer = await self._lane.submit_job(job)
        # Where nothing comes, nobody is kept waiting, and the next can follow soon.
        rest = 1 if self._lane.is_quiet else 1 / share(behind_us, self._settings) - 1
        await asyncio.sleep((loop.time() - begun) * rest)
        return cast("int | bool", answer)


def share(behind_us: int, settings: EngineSettings) -> float:
    """Return the share of a lane's time that may be taken while operations come, where it is so far behind."""
    grown = settings.move_out_share * (1 + behind_us / (settings.move_out_behind_s * US_PER_S))
    return min(grown, settings.move_out_share_max)
