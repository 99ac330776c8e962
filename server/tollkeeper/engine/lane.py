"""A lane: a queue, a thread and a connection. What waits while one transaction runs is the next batch.

No timers and nothing to tune: alone, an operation goes at once; under load, batches grow by themselves. An
answer is given only after the database has made its effect durable, and the event loop is woken once a batch.
A batch that fails is tried again whole, then operation by operation, so that one bad operation never fails
its neighbours; every operation is repeatable by its key, which is also how a commit of unknown outcome is
resolved: the keys it wrote are found, or not.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tollkeeper.core.commands import EndOverdue, ExpireGrants
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.prices import PriceBook
from tollkeeper.engine.attempt import Attempt, Result, Told
from tollkeeper.engine.fold import Command, Fold, Reply, needs_of
from tollkeeper.engine.ids import IdSource
from tollkeeper.engine.ports import ConflictError, Needs, UnavailableError, UsageCounts, Writes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.engine.ports import LaneStore
    from tollkeeper.engine.settings import EngineSettings

log = logging.getLogger(__name__)

_CONFLICTS_MAX = 5
_BACK_OFF_S = 0.05
_DENIALS_MAX = 10_000

Done = TypeVar("Done")


class Pending(NamedTuple):
    """An operation that waits, and who waits for it (None: nobody, it is the lane's own)."""

    command: Command
    future: asyncio.Future[Reply] | None


class Job(NamedTuple):
    """Work that needs the lane's connection to itself, such as a sweep."""

    run: Callable[[], object]
    future: asyncio.Future[object] | None


class Lane:
    """One of the engine's writers.

    `submit` and `submit_job` belong to the event loop, the rest to the lane's thread.
    """

    def __init__(
        self, name: str, store: LaneStore, shards: Sequence[int], settings: EngineSettings
    ) -> None:
        self.store = store
        self._shards = shards
        self._settings = settings
        self._queue: SimpleQueue[Pending | Job | None] = SimpleQueue()
        self._book = PriceBook((), version=-1)
        self._ids = IdSource()
        self._denials: UsageCounts = {}
        self._now_us = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Refuse what comes from now on; what waits is still carried out."""
        self._closing = True
        self._queue.put(None)

    def join(self) -> None:
        """Wait until everything that waited has been answered."""
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, command: Command) -> asyncio.Future[Reply]:
        """Queue an operation. Raises Refused where the queue is full or the lane is closing."""
        if self._closing:
            raise shutting_down()
        if self._queue.qsize() >= self._settings.queue_max:
            raise Refused(
                Reason.OVERLOADED,
                f"{self._settings.queue_max} operations are waiting already",
            )
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.put(Pending(command, future))
        return future

    def submit_job(self, run: Callable[[], object]) -> asyncio.Future[object]:
        """Queue a job. Raises Refused where the lane is closing."""
        if self._closing:
            raise shutting_down()
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._queue.put(Job(run, future))
        return future

    # -- the lane's thread

    def _run(self) -> None:
        while True:
            batch, after = self._take()
            if batch:
                self._deliver(batch, self.execute([each.command for each in batch]))
            if isinstance(after, Job):
                self._run_job(after)
            elif after is None and self._closing and self._queue.empty():
                self.flush_denials()
                self.store.close()
                return

    def _take(self) -> tuple[list[Pending], Job | None]:
        """Wait for one item, then take all that waits, up to a bound or a job."""
        batch: list[Pending] = []
        item = self._queue.get()
        while True:
            if isinstance(item, Job):
                return batch, item
            if item is not None and not (item.future and item.future.cancelled()):
                batch.append(item)
            if item is None or len(batch) >= self._settings.batch_max:
                return batch, None
            try:
                item = self._queue.get_nowait()
            except Empty:
                return batch, None

    def _run_job(self, job: Job) -> None:
        try:
            result: object = job.run()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            result = error
        if job.future is not None:
            _resolve([(job.future, _shown(result))])

    @staticmethod
    def _deliver(batch: list[Pending], results: list[Result]) -> None:
        _resolve(
            [
                (each.future, result)
                for each, result in zip(batch, results, strict=True)
                if each.future is not None
            ]
        )

    def execute(self, commands: Sequence[Command]) -> list[Result]:
        """Carry out operations in one transaction; return what each is answered with."""
        return self._execute(commands, None, time.monotonic() + self._settings.retry_for_s)

    def _execute(
        self, commands: Sequence[Command], told: Sequence[Told] | None, give_up_at: float
    ) -> list[Result]:
        """Try until the store answers or the time is over; `told` is what earlier attempts may have done."""
        conflicts = 0
        while True:
            attempt = Attempt(commands)
            try:
                self._attempt(commands, attempt)
            except Exception as error:  # noqa: BLE001 - one bad operation must not fail its neighbours
                told = attempt.told(told)
                transient = isinstance(error, (ConflictError, UnavailableError))
                if transient and time.monotonic() >= give_up_at:
                    log.warning("store unavailable: %s", error)
                    return [unavailable() for _ in commands]
                if isinstance(error, ConflictError):
                    conflicts += 1
                    self._ids.draw_lane()
                if not transient or conflicts > _CONFLICTS_MAX:
                    return self._one_by_one(commands, told, give_up_at, error)
                self._back_off(error, conflicts)
            else:
                return attempt.answers(told)

    @staticmethod
    def _back_off(error: Exception, conflicts: int) -> None:
        if isinstance(error, UnavailableError):
            log.warning("store unavailable: %s", error)
            time.sleep(_BACK_OFF_S)
        else:
            time.sleep(_BACK_OFF_S * (conflicts - 1))

    def _one_by_one(
        self,
        commands: Sequence[Command],
        told: Sequence[Told] | None,
        give_up_at: float,
        error: Exception,
    ) -> list[Result]:
        if len(commands) == 1:
            return [unavailable() if isinstance(error, ConflictError) else error]
        log.error("a batch of %d failed; trying each alone: %r", len(commands), error)
        results: list[Result] = []
        for index, command in enumerate(commands):
            if results and _is_unavailable(results[-1]) and time.monotonic() >= give_up_at:
                results.append(unavailable())  # as all of them together have no time left
                continue
            first = told and told[index : index + 1]
            results += self._execute([command], first, give_up_at)
        return results

    def _attempt(self, commands: Sequence[Command], attempt: Attempt) -> None:
        with self.store.batch() as batch:
            loaded = batch.load(needs_of(commands))
            attempt.loaded = loaded
            if loaded.prices_version != self._book.version:
                self._book = batch.price_book(loaded.now_us)
            # A clock that was set back must not undo a deadline, nor take a price list out of force.
            self._now_us = max(self._now_us, loaded.now_us, self._book.published_us)
            loaded.now_us = self._now_us
            fold = Fold(loaded, self._book, self._settings, self._ids)
            results = _apply(fold, commands)
            if fold.starved and (overdue := batch.overdue(fold.starved, loaded.now_us)):
                fold = Fold(loaded, self._book, self._settings, self._ids, overdue)
                results = _apply(fold, commands)
            attempt.results = results
            if writes := fold.writes():
                batch.write(writes)
        self._add_denials(fold.denials)

    def patiently(self, work: Callable[[], Done]) -> Done:
        """Do repeatable work that is no batch, again and again until the store answers or the time is over."""
        give_up_at = time.monotonic() + self._settings.retry_for_s
        while True:
            try:
                return work()
            except (ConflictError, UnavailableError):
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(_BACK_OFF_S)

    # -- denials: counted a moment late, so that refused traffic does not write

    def _add_denials(self, denials: UsageCounts) -> None:
        for counter, (requests, _) in denials.items():
            self._denials[counter] = (self._denials.get(counter, (0, 0))[0] + requests, 0)
        if len(self._denials) > _DENIALS_MAX:
            self.flush_denials()

    def flush_denials(self) -> None:
        """Write the denials counted since the last time; those of a failed write are tried again."""
        denials, self._denials = self._denials, {}
        if not denials:
            return
        committing = False
        try:
            with self.store.batch() as batch:
                batch.load(Needs(account_keys={account_key for account_key, *_ in denials}))
                batch.write(Writes(usage=denials))
                committing = True
        except Exception as error:
            if committing and not isinstance(error, ConflictError):
                # They may be counted already. Lost is allowed, counted twice is not.
                log.exception("%d counters of denials may be lost", len(denials))
                return
            log.warning("denials not counted yet: %r", error)
            self._denials = denials

    # -- the sweeper's turn

    def sweep(self) -> bool:
        """End what is overdue, one small batch of it; say whether there is more."""
        self.flush_denials()
        limit = self._settings.sweep_batch
        due = self.store.due(self._shards, limit)
        commands: list[Command] = [EndOverdue(name) for name in due.holds]
        commands += [ExpireGrants(key) for key in due.account_keys]
        failed = 0
        for result in self.execute(commands) if commands else ():
            if isinstance(result, BaseException):
                failed += 1
                log.error("sweep: %r", result)
        more = len(due.holds) >= limit or len(due.account_keys) >= limit
        # What fails is found again at once: it has to wait for the next sweep.
        return more and failed < len(commands)


def unavailable() -> Refused:
    """Return the refusal of a call that the store could not serve."""
    return Refused(
        Reason.STORE_UNAVAILABLE,
        "the ledger's store cannot be reached; try again",
    )


def _is_unavailable(result: Result) -> bool:
    return isinstance(result, Refused) and result.reason is Reason.STORE_UNAVAILABLE


def shutting_down() -> Refused:
    """Return the refusal of a call that comes during shutdown."""
    return Refused(
        Reason.SHUTTING_DOWN,
        "the server is shutting down; try another, or again",
    )


def _apply(fold: Fold, commands: Sequence[Command]) -> list[Result]:
    results: list[Result] = []
    for command in commands:
        try:
            results.append(fold.apply(command))
        except Refused as refused:
            results.append(refused)
    return results


def _shown(result: object) -> object:
    if isinstance(result, (ConflictError, UnavailableError)):
        log.warning("store unavailable: %s", result)
        return unavailable()
    return result


def _resolve(results: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    """Hand results to their event loop, which is woken once."""
    if not results:
        return
    loop = results[0][0].get_loop()
    try:
        loop.call_soon_threadsafe(_set_results, results)
    except RuntimeError:  # the loop is closed: nobody waits any more
        log.warning("%d answers came after the event loop had closed", len(results))


def _set_results(results: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    for future, result in results:
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
