"""The sweeper: overdue holds and grants are ended soon, in small batches, once."""

import asyncio
import time

from tests.support.ledgers import (
    ACCOUNT,
    COMMITTED,
    EXPIRED,
    HELD,
    LATE_CHARGE,
    Ledger,
    fill,
    held,
    leads,
)
from tests.support.waiting import wait_until
from tests.support.watched_store import Watch, WatchedStore
from tollkeeper.core.commands import Commit, GrantCredits, ListEntries
from tollkeeper.core.journal import EntryKind
from tollkeeper.engine.ports import Needs
from tollkeeper.engine.settings import EngineSettings

HOLD_US = 300_000
PROMISED_US = 2_000_000
OVERDUE = "SELECT count(*) FROM hold"
LATENESS = "SELECT settled_us - expires_us FROM reservation WHERE state = 4"


class BatchSizes(Watch):
    """Remembers how many holds each batch named."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def loading(self, needs: Needs) -> None:
        self.sizes.append(len(needs.reservations))


async def test_overdue_holds_end_within_two_seconds_of_their_deadline(ledger: Ledger) -> None:
    async with ledger.engine(sweep=True) as engine:
        await fill(engine, "a", "b", credits=1_000)
        answers = await asyncio.gather(
            *[engine.authorize(leads(f"r-{n}", "ab"[n % 2], hold_us=HOLD_US)) for n in range(50)]
        )
        kept = held(await engine.authorize(leads("kept", "a")))

        assert await asyncio.to_thread(
            wait_until, lambda: ledger.number(OVERDUE) == 1, timeout_s=15
        )
        lateness = [row[0] for row in ledger.rows(LATENESS)]
        assert len(lateness) == len(answers)
        assert 0 <= min(lateness) <= max(lateness) <= PROMISED_US

        assert (await engine.commit(Commit(kept, http_status=200))).late is False
        assert (await engine.commit(Commit(held(answers[0]), http_status=200))).late is True
    assert ledger.states("a") == {EXPIRED: 24, COMMITTED: 2}
    assert ledger.states("b") == {EXPIRED: 25}
    assert ledger.entries("a")[LATE_CHARGE] == (1, -10)
    assert ledger.balance("b") == (1_000, 0)
    assert ledger.findings() == []


async def test_a_sweep_goes_in_small_batches_until_nothing_is_overdue(ledger: Ledger) -> None:
    watch = BatchSizes()
    settings = EngineSettings(sweep_batch=20)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, "a", "b", "c", credits=10_000)
        await asyncio.gather(
            *[engine.authorize(leads(f"r-{n}", "abc"[n % 3], hold_us=1)) for n in range(90)]
        )
        watch.sizes.clear()

        await engine.sweep()

        assert ledger.number(OVERDUE) == 0
        assert (sum(watch.sizes), max(watch.sizes)) == (90, 20)
    assert ledger.states("a") == {EXPIRED: 30}
    assert ledger.findings() == []


async def test_calls_go_on_between_the_batches_of_a_sweep(ledger: Ledger) -> None:
    watch = BatchSizes()
    settings = EngineSettings(sweep_batch=5)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, credits=10_000)
        await asyncio.gather(*[engine.authorize(leads(f"r-{n}", hold_us=1)) for n in range(100)])
        watch.sizes.clear()

        sweep = asyncio.create_task(engine.sweep())
        await asyncio.sleep(0)
        await engine.authorize(leads("between"))

        assert not sweep.done()
        await sweep
        assert 0 in watch.sizes[: watch.sizes.index(5, -1)]
    assert ledger.states() == {EXPIRED: 100, HELD: 1}


async def test_an_overdue_hold_makes_room_before_the_sweeper_comes(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=10)
        held(await engine.authorize(leads("first", hold_us=1)))

        held(await engine.authorize(leads("second")))

    assert ledger.states() == {EXPIRED: 1, HELD: 1}
    assert ledger.findings() == []


async def test_the_sweeper_expires_grants(ledger: Ledger) -> None:
    async with ledger.engine(sweep=True) as engine:
        await fill(engine, credits=5)
        soon_us = time.time_ns() // 1_000 + 700_000
        await engine.grant_credits(GrantCredits(ACCOUNT, "soon", 95, expires_us=soon_us))

        assert await asyncio.to_thread(wait_until, lambda: ledger.balance() == (5, 0), timeout_s=15)
        page = await engine.entries(ListEntries(ACCOUNT, 10))

    last = page.entries[-1].entry
    assert (last.kind, last.credits) == (EntryKind.GRANT_EXPIRED, -95)
    assert 0 <= last.created_us - soon_us <= PROMISED_US
    assert ledger.findings() == []


async def test_two_servers_that_sweep_the_same_holds_end_each_once(ledger: Ledger) -> None:
    async with ledger.engine() as one, ledger.engine() as other:
        await fill(one, "a", "b", credits=10_000)
        await asyncio.gather(
            *[one.authorize(leads(f"r-{n}", "ab"[n % 2], hold_us=1)) for n in range(200)]
        )

        await asyncio.gather(one.sweep(), other.sweep(), one.sweep(), other.sweep())

    assert ledger.states("a") == ledger.states("b") == {EXPIRED: 100}
    assert ledger.number("SELECT sum(requests) FROM usage_hour WHERE kind = 2") == 200
    assert ledger.findings() == []
