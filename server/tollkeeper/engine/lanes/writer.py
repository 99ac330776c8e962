"""A writer: one of the engine's writers. It carries out batches and jobs over a connection of its own, one at a time.

A batch that fails is tried again whole, then operation by operation, so that one bad operation never fails
its neighbours; every operation is repeatable by its key, which is also how a commit of unknown outcome is
resolved: the keys it wrote are found, or not. A writer knows no event loop and no queue; where it lives is its
host's business.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tollkeeper.core.account import shard_of
from tollkeeper.core.administer import check_repeat, digest_of, publish_prices, record_of
from tollkeeper.core.answers.views import Published
from tollkeeper.core.commands import DoWhatIsDue, EndOverdue, PublishPrices
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.pricing.price_lists import PriceBook
from tollkeeper.core.usage import UsageCounts
from tollkeeper.engine.ids import IdSource
from tollkeeper.engine.lanes.attempt import Attempt, Later, Result, Told, apply_all
from tollkeeper.engine.lanes.fold import Command, Fold, needs_of
from tollkeeper.engine.lanes.measured import Moments, note_transaction
from tollkeeper.engine.lanes.retention import OldReservations
from tollkeeper.engine.ports import ConflictError, LockedError, Needs, UnavailableError, Writes
from tollkeeper.engine.unavailable import LostError, account_locked, unavailable
from tollkeeper.engine.work import Work

if TYPE_CHECKING:
    from tollkeeper.engine.ports import Batch, LaneStore, Loaded
    from tollkeeper.engine.settings import EngineSettings

log = logging.getLogger(__name__)

_CONFLICTS_MAX = 5
_BACK_OFF_S = 0.05
_UNCOUNTED_MAX = 10_000
_EVENTS_AT_ONCE = 1_000

Done = TypeVar("Done")


class Execute(NamedTuple):
    """Carry out operations in one transaction; the answer is a list of `Result`, one for each."""

    commands: Sequence[Command]


class Publish(NamedTuple):
    """Publish a price list; the answer is `Published`."""

    command: PublishPrices


class Sweep(NamedTuple):
    """End what is overdue, one small batch of it; the answer is whether there is more."""


class MoveOutAged(NamedTuple):
    """Move reservations out whose retention time is over, one small batch.

    The answer is how long the first of them has been due, in µs; 0 where there are no more.
    """


class ForgetWindows(NamedTuple):
    """Delete windows of limits that are not needed, one small batch; the answer is whether there is more."""


class FlushCounts(NamedTuple):
    """Write the denials and free requests that wait to be counted; the answer is None."""


class PlaceEvents(NamedTuple):
    """Give events a position; the answer is None. Any lane does it for all of them."""


class TellWork(NamedTuple):
    """Tell what was done since the last time; the answer is `Work`."""


Job = Publish | Sweep | MoveOutAged | ForgetWindows | FlushCounts | PlaceEvents | TellWork
Task = Execute | Job
Meanwhile = Callable[[Sequence[Result]], Task | None]


class Writer:
    """Carries out tasks on one lane's connection; used by one thread."""

    def __init__(self, store: LaneStore, shards: Sequence[int], settings: EngineSettings) -> None:
        self._store = store
        self._shards = shards
        self._settings = settings
        self._book = PriceBook((), version=-1)
        self._ids = IdSource()
        self._uncounted: UsageCounts = {}
        self._old = OldReservations(store, shards, settings)
        self._locked: set[int] = set()
        """Accounts by key that other sessions have locked, as was found last."""
        self._now_us = 0
        self._work = Work()
        self._events_wait = False
        self._foreseen: tuple[Sequence[Command], Needs] | None = None
        """The operations of the next task, and what they need."""

    def carry_out(self, task: Task, meanwhile: Meanwhile | None = None) -> object:
        """Do what a task says; return its answer, or the exception that the caller is to get.

        `meanwhile` is called with the answer to operations while they are being committed, where the store can: it is
        the answer if that succeeds, and else perhaps another. It returns the task that will be next, if it knows one
        already. It should not raise: that would be a batch that failed.
        """
        try:
            if isinstance(task, Execute):
                return self.execute(task.commands, meanwhile)
            return self._do(task)
        except (ConflictError, UnavailableError) as error:
            log.warning("store unavailable: %s", error)
            return unavailable(error)
        except Exception as error:  # noqa: BLE001 - handed to the caller
            return error

    def _do(self, job: Job) -> object:
        match job:
            case Publish():
                return self._patiently(partial(self._publish, job.command))
            case Sweep():
                return self.sweep()
            case MoveOutAged():
                return self.move_out()
            case ForgetWindows():
                return self._old.forget_windows()
            case FlushCounts():
                return self.flush_counts()
            case PlaceEvents():
                return self.place_events()
            case TellWork():
                done, self._work = self._work, Work()
                return done

    def close(self) -> None:
        """Count what is not counted yet, and give the connection back."""
        self.flush_counts()
        self._store.close()

    def execute(
        self, commands: Sequence[Command], meanwhile: Meanwhile | None = None
    ) -> list[Result]:
        """Carry out operations in one transaction; return what each is answered with. See `carry_out`."""
        give_up_at = time.monotonic() + self._settings.retry_for_s
        return self._execute(commands, None, give_up_at, meanwhile)

    def _execute(
        self,
        commands: Sequence[Command],
        told: Sequence[Told] | None,
        give_up_at: float,
        meanwhile: Meanwhile | None = None,
        *,
        patient: bool = True,
    ) -> list[Result]:
        """Try until the store answers or the time is over; `told` is what earlier attempts may have done."""
        conflicts = 0
        while True:
            attempt = Attempt(commands)
            try:
                self._attempt(commands, attempt, meanwhile, patient=patient)
            except Exception as error:  # noqa: BLE001 - one bad operation must not fail its neighbours
                told = attempt.told(told)
                if isinstance(error, LockedError):
                    if not patient:
                        return self._one_by_one(commands, told, give_up_at, error)
                    patient = False
                    continue
                transient = isinstance(error, (ConflictError, UnavailableError))
                if (transient and time.monotonic() >= give_up_at) or isinstance(error, LostError):
                    log.warning("store unavailable: %s", error)
                    return [unavailable(error) for _ in commands]
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
            if isinstance(error, LockedError):
                return [account_locked()]
            return [unavailable() if isinstance(error, ConflictError) else error]
        log.error("a batch of %d failed; trying each alone: %r", len(commands), error)
        results: list[Result] = []
        for index, command in enumerate(commands):
            if results and _is_unavailable(results[-1]) and time.monotonic() >= give_up_at:
                results.append(unavailable())  # as all of them together have no time left
                continue
            first = told and told[index : index + 1]
            patient = not isinstance(error, LockedError)
            results += self._execute([command], first, give_up_at, patient=patient)
        return results

    def _attempt(
        self,
        commands: Sequence[Command],
        attempt: Attempt,
        meanwhile: Meanwhile | None,
        *,
        patient: bool,
    ) -> None:
        begun = time.perf_counter()
        with self._store.batch() as batch:
            loaded = self._load(batch, self._needs_of(commands), patient=patient)
            read = time.perf_counter()
            attempt.loaded = loaded
            if loaded.prices_version != self._book.version:
                self._book = batch.price_book(loaded.now_us, self._book)
            # A clock that was set back must not undo a deadline, nor take a price list out of force.
            self._now_us = max(self._now_us, loaded.now_us, self._book.published_us)
            loaded.now_us = self._now_us
            fold = Fold(loaded, self._book, self._settings, self._ids)
            results = apply_all(fold, commands)
            if fold.starved and (overdue := batch.overdue(fold.starved, loaded.now_us)):
                fold = Fold(loaded, self._book, self._settings, self._ids, overdue)
                results = apply_all(fold, commands)
            attempt.results = results
            writes = fold.writes()
            decided = time.perf_counter()
            if writes:
                batch.write(writes, meanwhile and partial(self._foresee, meanwhile, results))
        if self._settings.measures:
            moments = Moments(begun, read, decided, time.perf_counter())
            note_transaction(self._work, fold, results, moments)
        if fold.pending.events:
            self._events_wait = True
        self._add_uncounted(fold.uncounted)

    def _load(self, batch: Batch, needs: Needs, *, patient: bool) -> Loaded:
        """Lock and read; what is found of accounts that others have locked is remembered for the next batch."""
        needs.locked, needs.patient = self._locked, patient
        loaded = batch.load(needs)
        if loaded.locked or self._locked:
            self._locked = (self._locked | loaded.locked) - loaded.accounts.keys()
        return loaded

    def _foresee(self, meanwhile: Meanwhile, results: Sequence[Result]) -> None:
        coming = meanwhile(results)
        if isinstance(coming, Execute):
            self._foreseen = coming.commands, needs_of(coming.commands)

    def _needs_of(self, commands: Sequence[Command]) -> Needs:
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None and foreseen[0] is commands:
            return foreseen[1]
        return needs_of(commands)

    # -- price lists

    def _publish(self, command: PublishPrices) -> Published:
        with self._store.publication() as publication:
            record = publication.admin_record(digest_of(command.request_id))
            if record is not None:
                check_repeat(record, command)
                return Published(publication.price_list(record.result["version"]), replayed=True)
            now_us = publication.now_us
            registered = publication.endpoint_ids(command.prices)
            prices = publish_prices(
                publication.price_book(now_us),
                dataclasses.replace(command, prices=registered),
                now_us=now_us,
            )
            publication.write(prices, record_of(command, version=prices.version))
            return Published(prices, replayed=False)

    def _patiently(self, work: Callable[[], Done]) -> Done:
        """Do repeatable work that is no batch, again and again until the store answers or the time is over."""
        give_up_at = time.monotonic() + self._settings.retry_for_s
        while True:
            try:
                return work()
            except (ConflictError, UnavailableError) as error:
                if time.monotonic() >= give_up_at or isinstance(error, LostError):
                    raise
                time.sleep(_BACK_OFF_S)

    # -- denials and free requests: counted a moment late, so that they do not write

    def _add_uncounted(self, counts: UsageCounts) -> None:
        for counter, (requests, _) in counts.items():
            self._uncounted[counter] = (self._uncounted.get(counter, (0, 0))[0] + requests, 0)
        if len(self._uncounted) > _UNCOUNTED_MAX:
            self.flush_counts()

    def flush_counts(self, *, patient: bool = True) -> None:
        """Write what was counted since the last time; what a failed write had is tried again."""
        counts, self._uncounted = self._uncounted, {}
        if not counts:
            return
        committing, later = False, counts
        try:
            with self._store.batch() as batch:
                needs = Needs(account_keys={account_key for account_key, *_ in counts})
                locked = self._load(batch, needs, patient=patient).locked
                later = {each: counts[each] for each in counts if each[0] in locked}
                if len(later) < len(counts):
                    batch.write(Writes(usage={k: v for k, v in counts.items() if k not in later}))
                committing = True
            self._uncounted = later
        except Exception as error:
            if isinstance(error, LockedError) and patient:
                self._uncounted = counts
                self.flush_counts(patient=False)
                return
            if committing and not isinstance(error, ConflictError):
                self._uncounted = later
                # They may be counted already. Lost is allowed, counted twice is not.
                log.exception("%d counters of denials and free requests may be lost", len(counts))
                return
            log.warning("denials and free requests not counted yet: %r", error)
            self._uncounted = counts

    # -- events: numbered when they are committed, so that a reader by number misses none

    def follow_up(self) -> None:
        """Do what a task has left to do after it is answered; what fails is done by the next `PlaceEvents`."""
        if not self._events_wait:
            return
        self._events_wait = False
        try:
            self.place_events()
        except Exception as error:  # noqa: BLE001 - no caller waits for it
            log.warning("events not numbered yet: %r", error)

    def place_events(self) -> None:
        """Give every committed event a position."""
        while self._store.place_events(_EVENTS_AT_ONCE) == _EVENTS_AT_ONCE:
            pass

    # -- the sweeper's turn

    def sweep(self) -> bool:
        """End what is overdue, one small batch of it; say whether there is more."""
        self.flush_counts()
        more, done = self._end_due(self._shards)
        if more and not done and self._locked:
            # All of it is locked by others. What comes after it must not wait for that.
            locked = {shard_of(key) for key in self._locked}
            more, done = self._end_due([each for each in self._shards if each not in locked])
        # What fails is found again at once: it has to wait for the next sweep.
        return more and done

    def _end_due(self, shards: Sequence[int]) -> tuple[bool, bool]:
        """End what is overdue in these shards; say whether there is more, and whether anything was ended."""
        limit = self._settings.sweep_batch
        due = self._store.due(shards, limit)
        commands: list[Command] = [EndOverdue(name) for name in due.holds]
        commands += [DoWhatIsDue(key) for key in due.account_keys]
        failed = self._execute_own(commands, "sweep")
        more = len(due.holds) >= limit or len(due.account_keys) >= limit
        return more, failed < len(commands)

    def _execute_own(self, commands: Sequence[Command], what: str) -> int:
        """Carry out operations of our own, for which no caller waits; return how many have failed."""
        results = self.execute(commands) if commands else ()
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed:
            log.error("%s: %d of %d failed, first %r", what, len(failed), len(results), failed[0])
        return len(failed) + sum(result is Later.LOCKED for result in results)

    # -- old reservations

    def move_out(self) -> int:
        """Move a small batch of reservations out whose retention time is over, or look for such; see `MoveOutAged`."""
        look = self._old.look()
        self._execute_own(look.commands, "move out")  # what fails is met again in the next round
        return look.behind_us


def _is_unavailable(result: Result) -> bool:
    return isinstance(result, Refused) and result.reason is Reason.STORE_UNAVAILABLE
