"""Lets old reservations be moved out without being noticed: for a share of a writer's time, a few at a time.

Where several may write to the store, a writer of its own does it beside the lanes. Only calls for the accounts that it
has just locked wait for it. Where only one may, it is the lane's writer, in whose free moments it is done.
But a lane on a slow disk has something waiting all day at a load that it bears with ease, so after a second without a
free moment one small batch is moved out all the same.

Moving out can wait, and calls have the processors first. But it must keep up with the reservations that come: the
longer one has been due, the larger the share of the time, until the work keeps up.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tollkeeper.core.errors import Refused
from tollkeeper.engine.lanes.writer import ForgetWindows, MoveOutAged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.engine.lanes.lane import Lane
    from tollkeeper.engine.settings import EngineSettings

log = logging.getLogger(__name__)

MOVER = "mover"
"""The name of a writer that does nothing else."""

US_PER_S = 1_000_000
_SHARE_QUIET = 0.5
_REST_MAX_S = 2.0
"""A job may have waited, as for a lost writer's successor: that is not paid for by minutes of rest."""


class Mover:
    """Moves out by the writer of `lane`, beside the calls of `lanes`; belongs to their event loop."""

    def __init__(self, lane: Lane, lanes: Sequence[Lane], settings: EngineSettings) -> None:
        self._lane = lane
        self._lanes = lanes
        self._is_a_guest = lane in lanes
        self._settings = settings
        self._windows_looked_at: float | None = None
        self._behind_us = 0
        self._heard_at: float | None = None
        """When the writer has answered last; None before the first round."""

    @property
    def lag_s(self) -> float:
        """Return by how much it is behind, in seconds, as was found last; more for as long as nothing is found."""
        if self._heard_at is None:
            return 0.0
        silent_s = asyncio.get_running_loop().time() - self._heard_at
        late_s = max(0.0, silent_s - self._settings.move_out_every_s - _REST_MAX_S)
        return self._behind_us / US_PER_S + late_s

    async def run(self) -> None:
        """Go round after round, until it is cancelled."""
        self._heard_at = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(self._settings.move_out_every_s)
            try:
                await self._round()
            except Refused as refused:
                log.warning("move out: %s", refused.message)
            except Exception:
                log.exception("moving out failed; it is tried again")

    async def move_out(self) -> None:
        """Move out all that is due, and delete the windows that are not needed any more, at once."""
        for job in (MoveOutAged(), ForgetWindows()):
            while await self._lane.submit_job(job):
                pass

    async def _round(self) -> None:
        behind_us = 1
        while behind_us:
            behind_us = int(await self._paced(MoveOutAged(), behind_us))
            self._behind_us, self._heard_at = behind_us, asyncio.get_running_loop().time()
        now = asyncio.get_running_loop().time()
        looked_at = self._windows_looked_at
        if looked_at is not None and now - looked_at < self._settings.forget_windows_every_s:
            return
        while await self._paced(ForgetWindows(), behind_us=0):
            pass
        self._windows_looked_at = now

    async def _paced(self, job: MoveOutAged | ForgetWindows, behind_us: int) -> int | bool:
        """Have one job done, then rest; return its answer."""
        loop = asyncio.get_running_loop()
        if self._is_a_guest:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.move_out_patience_s):
                    await self._lane.free()
        begun = loop.time()
        answer = await self._lane.submit_job(job)
        taken = share(behind_us, self._settings, guest=self._is_a_guest)
        if all(each.is_quiet for each in self._lanes):
            taken = max(taken, _SHARE_QUIET)  # no call waits for it
        await asyncio.sleep(min(_REST_MAX_S, (loop.time() - begun) * (1 / taken - 1)))
        return cast("int | bool", answer)


def share(behind_us: int, settings: EngineSettings, *, guest: bool) -> float:
    """Return the share of a writer's time that may be taken while operations come, where it is so far behind."""
    grown = settings.move_out_share * (1 + behind_us / (settings.move_out_behind_s * US_PER_S))
    return min(grown, settings.move_out_share_guest_max if guest else 1.0)
