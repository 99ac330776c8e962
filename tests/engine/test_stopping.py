"""Stopping an engine: what was taken is carried out, what comes later is refused."""

import asyncio
import threading

import pytest

from tests.support.gates import Gate, turns
from tests.support.ledgers import HELD, Ledger, fill, leads
from tests.support.watched_store import WatchedStore
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import CreateAccount, PublishPrices
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.store import open_store


async def test_what_waits_is_carried_out_and_what_comes_is_refused(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        gate.shut()
        calls = [asyncio.create_task(engine.authorize(leads(f"r-{n}"))) for n in range(5)]
        await gate.is_reached()

        stop = asyncio.create_task(engine.stop())
        await turns()
        with pytest.raises(Refused) as refused:
            await engine.authorize(leads("late"))
        assert refused.value.reason is Reason.SHUTTING_DOWN
        assert refused.value.retry_after_us
        assert not stop.done()

        gate.open()
        await stop
        assert all(isinstance(answer, Authorized) for answer in await asyncio.gather(*calls))
    assert ledger.states() == {HELD: 5}


async def test_every_call_is_refused_once_the_engine_has_stopped(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        await engine.stop()

        for call in (
            engine.authorize(leads("r")),
            engine.create_account(CreateAccount("b", "b")),
            engine.publish_prices(PublishPrices("p", ())),
            engine.account("acme"),
        ):
            with pytest.raises(Refused) as refused:
                await call
            assert refused.value.reason is Reason.SHUTTING_DOWN


async def test_an_engine_that_has_not_started_refuses(ledger: Ledger) -> None:
    store = open_store(ledger.url)
    engine = Engine(store)

    with pytest.raises(Refused) as refused:
        await engine.authorize(leads("r"))

    assert refused.value.reason is Reason.SHUTTING_DOWN
    await engine.stop()
    store.close()


async def test_no_thread_is_left(ledger: Ledger) -> None:
    before = set(threading.enumerate())
    async with ledger.engine(EngineSettings(lanes=4), sweep=True) as engine:
        await fill(engine)
        await engine.account("acme")

    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert not [name for name in left if name.startswith(("lane-", "mover", "reader"))]
