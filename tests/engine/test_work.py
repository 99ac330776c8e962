"""What lanes and writers count where metrics are shown, and what is found of a ledger's backlog."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import pytest
from sqlalchemy import create_engine

from tests.support.ledgers import Ledger, fill, held, leads
from tests.support.watched_store import Watch, WatchedStore
from tollkeeper.core.commands import Commit, Refund, Release
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.usage import DenialReason
from tollkeeper.engine.background.mover import Mover
from tollkeeper.engine.counts import Backlog
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.lanes.lane import Lane
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.engine.work import Flow, Work
from tollkeeper.storage.lane.postgres_sql import PRICE_LOCK
from tollkeeper.storage.store import open_store

MEASURED = EngineSettings(measures=True)
SHORT_US = 1_000


def backlog_of(ledger: Ledger) -> Backlog:
    store = open_store(ledger.url)
    try:
        return store.backlog()
    finally:
        store.close()


async def live(ledger: Ledger, engine: Engine) -> None:
    """Let credits go every way."""
    await fill(engine, credits=100)
    names = [held(await engine.authorize(leads(f"r-{number}"))) for number in range(8)]
    for name in names[:3]:
        await engine.commit(Commit(name, http_status=200))
    await engine.commit(Commit(names[3], http_status=500))
    await engine.release(Release(names[4], Outcome.CANCELLED))
    late = held(await engine.authorize(leads("late", hold_us=SHORT_US)))
    lost = held(await engine.authorize(leads("lost", hold_us=SHORT_US)))
    assert late != lost
    while backlog_of(ledger).holds_open > 3:
        await engine.sweep()
    await engine.commit(Commit(late, http_status=200))
    await engine.refund(Refund(names[0], "refund-all"))
    await engine.refund(Refund(names[1], "refund-half", credits=5))
    await engine.authorize(leads("nobody", "no-such-account"))
    await engine.batch([leads("nobody-2", "no-such-account"), leads("again", hold_us=None)])


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
async def test_known_calls_give_the_expected_figures(ledger: Ledger, processes: bool) -> None:
    async with ledger.engine(MEASURED, processes=processes) as engine:
        await live(ledger, engine)
        await engine.observed.hear()
        work = engine.observed.work
        lanes = engine.lane_counts()

    assert work.credits == {
        Flow.HELD: 110,
        Flow.CHARGED: 40,
        Flow.RELEASED: 20,
        Flow.EXPIRED: 20,
        Flow.REFUNDED: 15,
    }
    assert work.denials == {DenialReason.ACCOUNT_NOT_FOUND: 2}
    assert work.batch_sizes.count == sum(each.batches for each in lanes)
    assert work.batch_sizes.total == sum(each.operations for each in lanes)
    assert work.queue_waits.count == work.batch_sizes.total
    # Each turn is a transaction, and so is each sweep that has ended a hold.
    assert work.database_times.count >= work.batch_sizes.count
    assert work.commit_times.count == work.lock_waits.count == work.database_times.count
    assert 0 < work.commit_times.total < work.database_times.total


async def test_nothing_is_measured_where_no_metrics_are_shown(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        await engine.authorize(leads("r-1"))
        await engine.observed.hear()

        assert engine.observed.work == Work()
        assert engine.observed.backlog is None


async def test_what_is_repeated_is_counted_once(ledger: Ledger) -> None:
    async with ledger.engine(MEASURED) as engine:
        await fill(engine)
        names = [held(await engine.authorize(leads("r-1"))) for _ in range(3)]
        for name in names:
            await engine.commit(Commit(name, http_status=200))
        await engine.observed.hear()
        credits = engine.observed.work.credits

    assert credits == {Flow.HELD: 10, Flow.CHARGED: 10}


async def test_what_a_writer_has_told_is_kept_if_the_one_who_asked_is_gone(ledger: Ledger) -> None:
    async with ledger.engine(MEASURED) as engine:
        await fill(engine)
        await engine.authorize(leads("r-1"))
        asked = asyncio.create_task(engine.observed.hear())
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await engine.observed.hear()

        assert engine.observed.work.credits == {Flow.HELD: 10}


class Failing(Watch):
    """Breaks the first commit of a batch that writes a hold."""

    def __init__(self) -> None:
        self.broken = 0

    def committing(self) -> None:
        if not self.broken:
            self.broken += 1
            raise ZeroDivisionError


async def test_a_transaction_that_is_rolled_back_counts_nothing(ledger: Ledger) -> None:
    watch = Failing()
    watch.broken = 1
    async with ledger.engine(MEASURED, wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine)
        await engine.observed.hear()
        before = engine.observed.work.database_times.count
        watch.broken = 0
        with pytest.raises(ZeroDivisionError):
            await engine.authorize(leads("r-1"))
        await engine.observed.hear()
        failed = engine.observed.work
        held(await engine.authorize(leads("r-1")))
        await engine.observed.hear()
        done = engine.observed.work

    assert (failed.database_times.count, failed.credits) == (before, {})
    assert (done.database_times.count, done.credits) == (before + 1, {Flow.HELD: 10})


@contextmanager
def locked(ledger: Ledger) -> Generator[None]:
    """Keep every transaction from its locks, as another session would."""
    database = create_engine(ledger.driver_url)
    lock = (
        f"SELECT pg_advisory_xact_lock({PRICE_LOCK})" if ledger.on_postgres else "BEGIN IMMEDIATE"
    )
    try:
        with database.connect() as connection:
            connection.exec_driver_sql(lock)
            yield
            connection.rollback()
    finally:
        database.dispose()


async def test_the_wait_for_a_lock_is_told_apart(ledger: Ledger) -> None:
    async with ledger.engine(MEASURED) as engine:
        await fill(engine)
        await engine.observed.hear()
        before = engine.observed.work
        with locked(ledger):
            asked = asyncio.create_task(engine.authorize(leads("r-1")))
            await asyncio.sleep(1)
        held(await asked)
        await engine.observed.hear()
        after = engine.observed.work

    waited_s = after.lock_waits.total - before.lock_waits.total
    assert after.lock_waits.count == before.lock_waits.count + 1
    assert 0.1 < waited_s <= after.database_times.total - before.database_times.total
    assert after.commit_times.total - before.commit_times.total < waited_s


class Aging:
    """A lane whose writer answers what it is told to, and then nothing."""

    is_quiet = True

    def __init__(self, *behind_us: int) -> None:
        self.answers = list(behind_us)
        self.asked_again = asyncio.Event()

    async def free(self) -> None: ...

    def submit_job(self, job: object) -> asyncio.Future[object]:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.answers:
            future.set_result(self.answers.pop(0))
        else:
            self.asked_again.set()
        return future


async def test_the_mover_tells_how_far_it_is_behind() -> None:
    aging = Aging(9_000_000, 5_000_000)
    lane = cast("Lane", aging)
    mover = Mover(lane, [lane], EngineSettings(move_out_every_s=0.001))
    before = mover.lag_s
    running = asyncio.create_task(mover.run())
    await aging.asked_again.wait()
    lag_s = mover.lag_s
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert before == 0
    assert lag_s >= 5


async def test_a_backlog_is_what_waits(ledger: Ledger) -> None:
    empty = backlog_of(ledger)
    async with ledger.engine() as engine:
        await fill(engine)
        held(await engine.authorize(leads("long")))
        early = held(await engine.authorize(leads("short", hold_us=SHORT_US)))
        ended = held(await engine.authorize(leads("ended")))
        await engine.commit(Commit(ended, http_status=200))
    waiting = backlog_of(ledger)
    deadline_us = ledger.number("SELECT min(expires_us) FROM hold")
    ledger.execute_all([*EVENTS, *DELIVERIES])
    with_events = backlog_of(ledger)

    assert empty[1:] == (0, None, None, 0, 0)
    assert early.account_key == ended.account_key
    assert (waiting.holds_open, waiting.oldest_deadline_us) == (2, deadline_us)
    assert deadline_us < backlog_of(ledger).now_us
    assert with_events[3:] == (1_000, 1, 2)


EVENTS = [
    (
        "INSERT INTO event VALUES "
        "(0, 0, 1, 0, 1, 'rule', 1, '', 1, false, 1, 1, 0, 1000, NULL), "
        "(0, 0, 2, 0, 2, 'rule', 1, '', 1, false, 1, 1, 0, 500, 7)"
    )
]
"""One that has no position, and an older one that has."""

DELIVERIES = [
    (
        "INSERT INTO webhook VALUES (1, 'u', '', '', '', 1, 0, 0, 0, '', 0, '', 0, 0, 0, 0, ''), "
        "(2, 'u', '', '', '', 2, 0, 0, 0, '', 0, '', 0, 0, 0, 0, '')"
    ),
    (
        "INSERT INTO webhook_delivery VALUES (1, 1, 1, 0, 0, 0, 0, 0, 0, 0, ''), "
        "(1, 2, 1, 0, 9000000000000000, 0, 0, 0, 0, 0, ''), "
        "(1, 3, 2, 0, 0, 0, 0, 0, 0, 0, ''), (1, 4, 2, 0, 0, 0, 0, 0, 0, 0, ''), "
        "(2, 1, 1, 0, 0, 0, 0, 0, 0, 0, '')"
    ),
]
"""Of an active webhook one that is due, one that is not, and two that are dead; of a paused one, one that is due."""
