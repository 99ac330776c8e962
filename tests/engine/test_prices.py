"""The price list that a lane decides by: the newest in force, from whichever server it was published."""

import asyncio
import time

import pytest

from tests.support.ledgers import ACCOUNT, PRICES, Ledger, fill, leads
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Authorize, PublishPrices
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.engine.engine import Engine

DEARER = (Price("GET", "/v1/leads", 12), *PRICES[1:])


async def test_a_list_that_another_server_publishes_holds_from_the_next_authorize(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as one, ledger.engine() as other:
        await fill(one)
        assert await price(one, leads("r-1")) == (1, 10)

        await other.publish_prices(PublishPrices("dearer", DEARER))

        assert await price(one, leads("r-2")) == (2, 12)
        assert await price(other, leads("r-3")) == (2, 12)
        assert await price(one, leads("r-1")) == (1, 10)
    assert ledger.findings() == []


async def test_a_list_for_later_holds_from_its_moment_on(ledger: Ledger) -> None:
    async with ledger.engine() as one, ledger.engine() as other:
        await fill(one, credits=1_000_000)
        effective_us = time.time_ns() // 1_000 + 400_000
        await other.publish_prices(PublishPrices("later", DEARER, effective_us=effective_us))
        assert await price(one, leads("before")) == (1, 10)

        async with asyncio.timeout(10):
            number = 0
            while (await price(one, leads(f"r-{number}")))[0] == 1:
                number += 1

    versions = ledger.rows("SELECT price_version, credits, created_us FROM reservation")
    assert {(version, credits) for version, credits, _ in versions} == {(1, 10), (2, 12)}
    assert all((at_us >= effective_us) == (version == 2) for version, _, at_us in versions)


async def test_the_same_publication_on_many_servers_at_once_is_one(ledger: Ledger) -> None:
    async with ledger.engine() as one, ledger.engine() as other:
        answers = await asyncio.gather(
            *[engine.publish_prices(PublishPrices("same", PRICES)) for engine in (one, other) * 5]
        )

    assert {answer.prices.version for answer in answers} == {1}
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 9
    assert ledger.number("SELECT count(*) FROM price_list") == 1
    assert ledger.findings() == []


async def test_a_publication_that_is_refused_leaves_no_trace(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine)

        with pytest.raises(Refused) as refused:
            await engine.publish_prices(PublishPrices("past", DEARER, effective_us=1))

        assert refused.value.reason is Reason.PRICES_BACKDATED
        assert await price(engine, leads("r")) == (1, 10)
    assert ledger.number("SELECT count(*) FROM price_list") == 1
    assert ledger.number("SELECT count(*) FROM admin_request") == 3


async def price(engine: Engine, command: Authorize) -> tuple[int, int]:
    answer = await engine.authorize(command)
    assert isinstance(answer, Authorized), answer
    assert command.account_id == ACCOUNT
    return answer.price_version, answer.credits
