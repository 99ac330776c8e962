"""Accounts on price lists of their own, from their own moment on, whichever server decides."""

import asyncio
import time

import pytest

from tests.support.ledgers import PRICES, Ledger, fill, held, leads
from tests.support.thorough import thorough
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    CreateAccount,
    GetOverview,
    PublishPrices,
    UpdateAccount,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.engine.engine import Engine

PARTNER = (Price("GET", "/v1/leads", 4), *PRICES[1:])


async def price(engine: Engine, command: Authorize) -> tuple[int, int]:
    answer = await engine.authorize(command)
    assert isinstance(answer, Authorized), answer
    return answer.price_version, answer.credits


def soon_us(ms: int = 400) -> int:
    return time.time_ns() // 1_000 + ms * 1_000


async def test_an_account_that_is_moved_later_pays_the_old_price_until_then(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as one, ledger.engine() as other:
        await fill(one, "acme", "globex", credits=1_000_000)
        await one.publish_prices(PublishPrices("partner", PARTNER, name="partner"))
        before = held(await one.authorize(leads("before")))
        moment_us = soon_us()
        await other.update_account(
            UpdateAccount("acme", "move", price_list="partner", price_list_effective_us=moment_us)
        )

        async with asyncio.timeout(10):
            number = 0
            found = (0, 0)
            while found[0] != 2:
                found = await price((one, other)[number % 2], leads(f"r-{number}"))
                assert await price(other, leads(f"g-{number}", "globex")) == (1, 10)
                number += 1

        settled = await other.commit(Commit(before, 200))
        assert settled.credits == 10
        overview = await one.overview(GetOverview("acme"))
        assert overview.prices is not None
        assert (overview.prices.name, overview.prices.effective_us) == ("partner", moment_us)

    made = ledger.rows(
        "SELECT r.price_version, r.credits, r.created_us FROM reservation r "
        "JOIN account a ON a.key = r.account_key WHERE a.account_id = 'acme'"
    )
    assert {(version, credits_) for version, credits_, _ in made} == {(1, 10), (2, 4)}
    assert all((at_us >= moment_us) == (version == 2) for version, _, at_us in made)
    assert ledger.findings() == []


async def test_a_named_list_has_later_versions_of_its_own(ledger: Ledger) -> None:
    async with ledger.engine() as one, ledger.engine() as other:
        await fill(one, credits=1_000_000)
        await one.publish_prices(PublishPrices("p-1", PARTNER, name="partner"))
        await one.update_account(UpdateAccount("acme", "move", price_list="partner"))
        assert await price(other, leads("1")) == (2, 4)

        await other.publish_prices(PublishPrices("default", (Price("GET", "/v1/leads", 99),)))
        assert await price(one, leads("2")) == (2, 4)
        later = (Price("GET", "/v1/leads", 5),)
        await other.publish_prices(PublishPrices("p-2", later, name="partner"))
        assert await price(one, leads("3")) == (4, 5)
        await one.update_account(UpdateAccount("acme", "back", price_list=""))
        assert await price(other, leads("4")) == (3, 99)
        assert await price(other, leads("1")) == (2, 4)
    assert ledger.findings() == []


async def test_a_list_that_another_server_has_just_published_can_be_assigned(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as one, ledger.engine() as other:
        await fill(one)
        with pytest.raises(Refused) as refused:
            await one.update_account(UpdateAccount("acme", "early", price_list="partner"))
        assert refused.value.reason is Reason.PRICE_LIST_NOT_FOUND

        await other.publish_prices(PublishPrices("p", PARTNER, name="partner"))
        await one.update_account(UpdateAccount("acme", "early", price_list="partner"))
        await one.create_account(CreateAccount("new", "new", price_list="partner"))

        assert await price(one, leads("1")) == (2, 4)
        assert (await other.account("new")).pricing.present.name == "partner"
    assert ledger.findings() == []


async def test_a_change_and_requests_in_one_batch_are_decided_in_their_order(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        await engine.publish_prices(PublishPrices("p", PARTNER, name="partner"))

        answers = await asyncio.gather(
            price(engine, leads("1")),
            engine.update_account(UpdateAccount("acme", "to", price_list="partner")),
            price(engine, leads("2")),
            engine.update_account(UpdateAccount("acme", "back", price_list="")),
            price(engine, leads("3")),
        )

        assert [answers[0], answers[2], answers[4]] == [(1, 10), (2, 4), (1, 10)]
    assert ledger.findings() == []


@thorough
async def test_two_lists_of_five_thousand_endpoints_are_kept_apart(ledger: Ledger) -> None:
    def prices(credits_: int) -> tuple[Price, ...]:
        return tuple(Price("GET", f"/v1/{number}/{{id}}", credits_) for number in range(5_000))

    async with ledger.engine() as one, ledger.engine() as other:
        await fill(one, "acme", "globex", credits=1_000_000)
        await one.publish_prices(PublishPrices("a", prices(7)))
        await one.publish_prices(PublishPrices("b", prices(3), name="partner"))
        await one.update_account(UpdateAccount("acme", "move", price_list="partner"))

        for number in (0, 2_500, 4_999):
            path = parse(f"/v1/{number}/x")
            for engine in (one, other):
                request = f"{number}-{id(engine)}"
                assert await price(engine, Authorize("acme", "GET", path, request)) == (3, 3)
                assert await price(engine, Authorize("globex", "GET", path, request)) == (2, 7)
    assert ledger.findings() == []
