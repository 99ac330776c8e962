"""Looks at what waits in the ledger, beside the calls: for metrics, so that a scrape never asks the database."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tollkeeper.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tollkeeper.engine.counts import Backlog

log = logging.getLogger(__name__)

_REST = 100
"""A look takes at most one part in so many of the time: after a slow one the next comes later."""


class BacklogWatch:
    """Belongs to one event loop. `read` is the engine's; it raises Refused."""

    def __init__(self, read: Callable[[], Awaitable[Backlog]], every_s: float) -> None:
        self._read = read
        self._every_s = every_s
        self.seen: Backlog | None = None
        """What was found last; None until then."""

    async def run(self) -> None:
        """Look now, and again and again until it is cancelled. What fails is tried again."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                self.seen = await self._read()
            except Refused as refused:
                log.warning("backlog: %s", refused.message)
            except Exception:
                log.exception("the backlog could not be read; it is tried again")
            await asyncio.sleep(max(self._every_s, _REST * (loop.time() - begun)))
