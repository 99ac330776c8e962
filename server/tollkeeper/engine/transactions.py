"""Operations past the lanes: each is one transaction, in a thread of its own pool. No account is concerned."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from tollkeeper.core.administer import check_repeat, digest_of
from tollkeeper.engine.ports import ConflictError, UnavailableError
from tollkeeper.engine.unavailable import LostError, shutting_down, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tollkeeper.core.administer import AdminCommand, AdminRecord
    from tollkeeper.engine.books import Books

B = TypeVar("B")
T = TypeVar("T")

log = logging.getLogger(__name__)

_THREADS = 2
_RETRY_FOR_S = 3.0
_BACK_OFF_S = 0.05


class Transactions(Generic[B]):
    """Does what is asked of it in transactions that `begin` opens. Belongs to one event loop."""

    def __init__(self, begin: Callable[[], AbstractContextManager[B]], name: str) -> None:
        self._begin = begin
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        self._closing = False

    async def stop(self) -> None:
        """Finish what was begun, and refuse what comes."""
        self._closing = True
        await asyncio.to_thread(self._threads.shutdown)

    async def change(self, work: Callable[[B], T]) -> T:
        """Do it in one transaction. Raises what it raises, and Refused where the store cannot be used."""
        return await self.read(partial(self._patiently, work))

    async def read(self, work: Callable[[], T]) -> T:
        """Do it in a thread. Raises as `change` does."""
        if self._closing:
            raise shutting_down()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (ConflictError, UnavailableError) as error:
            log.warning("store unavailable: %s", error)
            raise unavailable(error) from None

    def _patiently(self, work: Callable[[B], T]) -> T:
        """Do it, again where it lost against another: its key is in the same transaction, so it is done once."""
        give_up_at = time.monotonic() + _RETRY_FOR_S
        while True:
            try:
                with self._begin() as books:
                    return work(books)
            except (ConflictError, UnavailableError) as error:
                if time.monotonic() >= give_up_at or isinstance(error, LostError):
                    raise
                time.sleep(_BACK_OFF_S)


def record_before(books: Books, command: AdminCommand) -> AdminRecord | None:
    """Return the record of this call where it is a repeat. Raises Refused for a key used otherwise."""
    record = books.admin_record(digest_of(command.request_id))
    if record is not None:
        check_repeat(record, command)
    return record
