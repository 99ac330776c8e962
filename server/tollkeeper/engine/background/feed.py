"""The feed: events by position, those that are there and then those to come, for any number of watchers.

Whether there is anything new is asked for all watchers of a server at once, by one small read at an interval, and
only while one of them waits. A watcher then reads its own pages at its own pace: nothing is kept for a slow one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tollkeeper.core.answers.views import EventPage
from tollkeeper.core.commands import ListEvents
from tollkeeper.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tollkeeper.core.commands import WatchEvents

PAGE_SIZE = 200


class Feed:
    """Belongs to one event loop. `read` and `last_position` are the engine's; they raise Refused."""

    def __init__(
        self,
        read: Callable[[ListEvents], Awaitable[EventPage]],
        last_position: Callable[[], Awaitable[int]],
        every_s: float,
    ) -> None:
        self._read = read
        self._last_position = last_position
        self._every_s = every_s
        self._last = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._asking: asyncio.Task[None] | None = None

    async def watch(self, query: WatchEvents) -> AsyncGenerator[EventPage]:
        """Yield pages without end: first an empty one that says where it begins, then each with an event in it."""
        after = await self._last_position() if query.after is None else query.after
        yield EventPage((), 0, after)
        while True:
            page = await self._read(ListEvents(PAGE_SIZE, after, query.account_id, query.prefix))
            if page.events:
                yield page
            after = page.next_after or page.through
            if not page.next_after:
                await self._until_after(after)

    def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _until_after(self, position: int) -> None:
        """Wait until there is an event after a position."""
        while self._last <= position:
            told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(told)
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
            try:
                await told
            finally:
                self._waiting.discard(told)

    async def _ask(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._every_s)
            try:
                last = await self._last_position()
            except Refused:
                continue  # the store is away: a watcher waits as long as it likes
            if last > self._last:
                self._last = last
                for each in self._waiting:
                    if not each.done():
                        each.set_result(None)
        self._asking = None
