"""Operations whose account another session of the database has locked.

They are tried again, and no other operation waits for them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, cast

from tollkeeper.engine.lanes.fold import Command, Reply
from tollkeeper.engine.unavailable import account_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.core.errors import Refused

AGAIN_AFTER_S = 0.25


class Operation(NamedTuple):
    """An operation that came alone, at `since` by the event loop's clock; `give_up_at` is 0 until it was locked out."""

    command: Command
    future: asyncio.Future[Reply]
    since: float = 0.0
    give_up_at: float = 0.0


class LockedOut:
    """Keeps such operations for a moment, then hands them to `again`; refuses those that did so for `for_s`.

    Belongs to one event loop.
    """

    def __init__(self, for_s: float, again: Callable[[Sequence[Operation]], None]) -> None:
        self._for_s = for_s
        self._again = again
        self._operations: list[Operation] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._operations)

    def add(self, operations: Sequence[Operation]) -> None:
        """Keep operations, or refuse those whose time is over."""
        loop = asyncio.get_running_loop()
        for each in operations:
            give_up_at = each.give_up_at or loop.time() + self._for_s
            if loop.time() >= give_up_at:
                set_answer(each.future, account_locked())
            else:
                self._operations.append(each._replace(give_up_at=give_up_at))
        if self._operations and self._timer is None:
            self._timer = loop.call_later(AGAIN_AFTER_S, self._come_again)

    def refuse(self, refusal: Refused) -> None:
        """Answer all of them; none comes again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        operations, self._operations = self._operations, []
        for each in operations:
            set_answer(each.future, refusal)

    def _come_again(self) -> None:
        self._timer = None
        operations, self._operations = self._operations, []
        self._again(operations)


def set_answer(future: asyncio.Future[Reply] | asyncio.Future[object], answer: object) -> None:
    """Answer the caller, unless the caller has gone."""
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        cast("asyncio.Future[object]", future).set_result(answer)
