"""A clock that is set back stands still: neither a deadline nor a price list is undone by it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.support.ledgers import Ledger, fill, leads
from tollkeeper.core.change import Authorized
from tollkeeper.engine.engine import Engine
from tollkeeper.storage.store import open_store

NOW_US = 1_800_000_000_000_000
HOUR_US = 3_600_000_000


@asynccontextmanager
async def engine_at(ledger: Ledger, clock: list[int]) -> AsyncGenerator[Engine]:
    store = open_store(ledger.url, clock=lambda: clock[0])
    engine = Engine(store)
    await engine.start(sweep=False)
    try:
        yield engine
    finally:
        await engine.stop()
        store.close()


@pytest.mark.parametrize("restarted", [False, True])
async def test_prices_stay_in_force_when_the_clock_is_set_back_behind_them(
    ledger: Ledger, *, restarted: bool
) -> None:
    clock = [NOW_US]
    async with engine_at(ledger, clock) as first, engine_at(ledger, clock) as second:
        await fill(first)
        clock[0] -= HOUR_US

        answer = await (second if restarted else first).authorize(leads("r-1"))

    assert isinstance(answer, Authorized)
    assert answer.credits == 10
    assert answer.created_us == NOW_US


async def test_a_hold_that_has_expired_stays_expired_when_the_clock_is_set_back(
    ledger: Ledger,
) -> None:
    clock = [NOW_US]
    async with engine_at(ledger, clock) as engine:
        await fill(engine)
        first = await engine.authorize(leads("r-1"))
        clock[0] += HOUR_US
        await engine.sweep()
        clock[0] -= HOUR_US
        second = await engine.authorize(leads("r-2"))

    assert isinstance(first, Authorized)
    assert isinstance(second, Authorized)
    assert second.created_us > first.expires_us
    assert ledger.findings() == []
