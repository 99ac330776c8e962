"""Batches of callers: carried out beside single calls, which do not wait for the end of them."""

import asyncio
import dataclasses

import pytest

from tests.support.gates import Gate, turns
from tests.support.ledgers import ACCOUNT, HELD, Ledger, fill, held, leads
from tests.support.watched_store import WatchedStore
from tollkeeper.core.change import Authorized, Denied
from tollkeeper.core.commands import Authorize
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings

SETTINGS = EngineSettings(
    bulk_alone=100, bulk_beside=20, bulk_beside_for_s=3_600, bulk_queue_max=1_000
)
RICH = 1_000_000


def many(name: str, count: int, account_id: str = ACCOUNT) -> list[Authorize]:
    return [leads(f"{name}-{number}", account_id) for number in range(count)]


async def held_up(engine: Engine, gate: Gate) -> "asyncio.Task[Authorized | Denied]":
    """Stop the lane before its commit, with one operation; the sizes of its batches are counted from then on."""
    gate.shut()
    first = asyncio.create_task(engine.authorize(leads("first")))
    await gate.is_reached()
    gate.sizes.clear()
    return first


@pytest.mark.parametrize(
    ("expects_singles_for_s", "sizes"), [(0.0, [100, 30]), (3_600.0, [20] * 6 + [10])]
)
async def test_a_batch_takes_small_turns_only_where_single_calls_are_expected(
    ledger: Ledger, expects_singles_for_s: float, sizes: list[int]
) -> None:
    gate = Gate()
    settings = dataclasses.replace(SETTINGS, bulk_beside_for_s=expects_singles_for_s)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=RICH)
        gate.sizes.clear()

        results = await engine.batch(many("r", 130))

        assert all(isinstance(each, Authorized) for each in results)
        assert gate.sizes == sizes


async def test_a_single_call_is_answered_long_before_a_batch_that_came_first(
    ledger: Ledger,
) -> None:
    gate = Gate()
    async with ledger.engine(SETTINGS, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=RICH)
        first = await held_up(engine, gate)
        bulk = asyncio.create_task(engine.batch(many("bulk", 500)))
        await turns()
        single = asyncio.create_task(engine.authorize(leads("single")))
        await turns()

        gate.open()
        await single

        assert not bulk.done()
        assert gate.sizes[0] == 1 + SETTINGS.bulk_beside
        assert len(await bulk) == 500
        await first


async def test_batches_of_two_callers_go_on_side_by_side(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(SETTINGS, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=RICH)
        first = await held_up(engine, gate)
        huge = asyncio.create_task(engine.batch(many("huge", 900)))
        await turns()
        small = asyncio.create_task(engine.batch(many("small", 30)))
        await turns()

        gate.open()
        await small

        assert not huge.done()
        assert sum(gate.sizes) <= 2 * 30 + 20
        await huge
        await first


async def test_batches_that_fit_into_a_turn_follow_each_other(ledger: Ledger) -> None:
    gate = Gate()
    settings = dataclasses.replace(SETTINGS, bulk_beside_for_s=0.0)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=RICH)
        first = await held_up(engine, gate)
        bulks = [
            asyncio.create_task(engine.batch(many(f"bulk-{size}", size))) for size in (70, 60, 90)
        ]
        await turns()

        gate.open()
        await bulks[0]
        done = [each.done() for each in bulks]
        await asyncio.gather(*bulks)
        await first

        assert done == [True, False, False]
        assert gate.sizes == [70 + 30, 30 + 70, 20]


async def test_the_operations_of_an_account_are_carried_out_in_their_order(ledger: Ledger) -> None:
    async with ledger.engine(EngineSettings(lanes=4)) as engine:
        await fill(engine, "acme", "wayne", "globex", credits=55)
        asked = [
            leads(f"{name}-{number}", name)
            for number in range(10)
            for name in ("acme", "wayne", "globex")
        ]

        results = await engine.batch(asked)

        granted = [isinstance(each, Authorized) for each in results]
        assert granted == [True] * 15 + [False] * 15
        ids = [
            held(each).reservation_id for each in results[0:15:3] if isinstance(each, Authorized)
        ]
        assert ids == sorted(ids)
    assert ledger.findings() == []


async def test_what_a_caller_who_has_gone_still_waited_for_is_dropped(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(SETTINGS, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=RICH)
        gate.shut()
        gone = asyncio.create_task(engine.batch(many("gone", 900)))
        await gate.is_reached()

        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        gate.open()
        assert isinstance(await engine.authorize(leads("later")), Authorized)

        # Room is there again, too.
        assert len(await engine.batch(many("next", 1_000))) == 1_000
    assert ledger.states()[HELD] == 20 + 1 + 1_000


async def test_what_does_not_fit_is_refused_and_what_waits_is_not(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(SETTINGS, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=RICH)
        first = await held_up(engine, gate)
        fits = asyncio.create_task(engine.batch(many("fits", 600)))
        await turns()

        refused = await engine.batch(many("over", 401))

        assert len(refused) == 401
        assert {each.reason for each in refused if isinstance(each, Refused)} == {Reason.OVERLOADED}
        gate.open()
        assert all(isinstance(each, Authorized) for each in await fits)
        await first


async def test_a_stop_carries_out_the_batches_that_it_has_taken(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(SETTINGS, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=RICH)
        gate.shut()
        taken = asyncio.create_task(engine.batch(many("r", 300)))
        await gate.is_reached()

        stop = asyncio.create_task(engine.stop())
        await turns()
        late = await engine.batch(many("late", 3))
        gate.open()
        await stop

        assert all(isinstance(each, Authorized) for each in await taken)
        assert {each.reason for each in late if isinstance(each, Refused)} == {Reason.SHUTTING_DOWN}
    assert ledger.states() == {HELD: 300}
