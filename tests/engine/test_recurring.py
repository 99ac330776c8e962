"""Recurring grants in the store: granted once, by the first call, shown before they are written, swept."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.ledgers import ACCOUNT, Ledger, held, leads
from tollkeeper.core.commands import (
    Commit,
    CreateAccount,
    CreateRecurringGrant,
    EndRecurringGrant,
    GetOverview,
    PublishPrices,
    ReplaceRecurringGrant,
    VoidGrant,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import Origin, id_of
from tollkeeper.engine.engine import Engine
from tollkeeper.storage.store import open_store

BEGIN_US = 1_800_000_000_000_000
DAY_US = 86_400_000_000
GRANTS = "SELECT grant_id, remaining FROM credit_grant ORDER BY expires_us, grant_id"
COLUMNS = "SELECT recurring, next_grant_us FROM account"
FIRST, SECOND = (id_of(Origin(1, place, rolled_over=False)) for place in (0, 1))
ROLLED = id_of(Origin(1, 1, rolled_over=True))


class Clock:
    """The store's clock, in the hand of the test."""

    now_us = BEGIN_US

    def __call__(self) -> int:
        return self.now_us


@asynccontextmanager
async def running(ledger: Ledger, clock: Clock) -> AsyncGenerator[Engine]:
    store = open_store(ledger.url, clock=clock)
    engine = Engine(store)
    await engine.start(sweep=False)
    try:
        yield engine
    finally:
        await engine.stop()
        store.close()


async def fill(engine: Engine, **more: Any) -> None:
    """Open an account with 50 credits a day, 30 of which roll over."""
    await engine.publish_prices(PublishPrices("prices", (Price("GET", "/v1/leads", 10),)))
    await engine.create_account(CreateAccount(ACCOUNT, "create"))
    given: dict[str, Any] = {"period": RecurringPeriod.DAY, "rollover_max": 30} | more
    await engine.create_recurring_grant(CreateRecurringGrant(ACCOUNT, "daily", 50, **given))


async def test_a_read_shows_the_grants_that_a_later_call_writes(ledger: Ledger) -> None:
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        clock.now_us += DAY_US

        account = await engine.account(ACCOUNT)
        shown = (await engine.overview(GetOverview(ACCOUNT))).grants
        assert ledger.rows(GRANTS) == [(FIRST, 50)]
        held(await engine.authorize(leads("r")))

    assert account.balance.settled == 80
    assert [(each.grant_id, each.remaining) for each in shown] == [(ROLLED, 30), (SECOND, 50)]
    assert ledger.rows(GRANTS) == [(FIRST, 0), (ROLLED, 20), (SECOND, 50)]
    assert ledger.findings() == []


async def test_a_grant_that_is_shown_can_be_voided_before_it_is_written(ledger: Ledger) -> None:
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        clock.now_us += DAY_US

        voided = await engine.void_grant(VoidGrant(ACCOUNT, SECOND, "void"))

    assert (voided.remaining, voided.balance.settled) == (0, 30)
    assert ledger.findings() == []


async def test_the_sweeper_grants_what_nobody_asks_about(ledger: Ledger) -> None:
    """Also where nothing was left to expire, and for an account that begins later."""
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        for number in range(5):
            await engine.commit(Commit(held(await engine.authorize(leads(f"r-{number}"))), 200))
        assert ledger.balance() == (0, 0)

        for _ in range(2):
            clock.now_us += DAY_US
            await engine.sweep()

    assert ledger.balance() == (80, 0)
    assert ledger.number("SELECT count(*) FROM credit_grant") == 4
    assert ledger.findings() == []


async def test_two_servers_that_sweep_and_ask_at_a_boundary_grant_once(ledger: Ledger) -> None:
    clock = Clock()
    async with running(ledger, clock) as one, running(ledger, clock) as other:
        await fill(one)
        clock.now_us += 3 * DAY_US

        await asyncio.gather(
            *[engine.sweep() for engine in (one, other)],
            *[(one, other)[n % 2].authorize(leads(f"r-{n}")) for n in range(40)],
        )

    assert ledger.balance() == (80, 80)
    assert ledger.number("SELECT count(*) FROM credit_grant") == 4 + 3
    assert ledger.findings() == []


async def test_two_servers_that_replace_a_plan_at_a_boundary_do_it_once(ledger: Ledger) -> None:
    """Both are told to, with one key, while both grant the period that has just begun."""
    clock = Clock()
    async with running(ledger, clock) as one, running(ledger, clock) as other:
        await fill(one)
        clock.now_us += 3 * DAY_US
        swap = ReplaceRecurringGrant(ACCOUNT, 1, "swap", 200)

        asked = [asyncio.ensure_future(each.replace_recurring_grant(swap)) for each in (one, other)]
        await asyncio.gather(
            *[engine.sweep() for engine in (one, other)],
            *[(one, other)[n % 2].authorize(leads(f"r-{n}")) for n in range(40)],
        )
        answers = [await each for each in asked]

    assert sorted(each.replayed for each in answers) == [False, True]
    assert {each.recurring for each in answers} == {answers[0].recurring}
    assert answers[0].given - answers[0].voided == 150
    settled, held_ = ledger.balance()
    assert (settled, held_ % 10, held_ >= 80) == (80 + 150, 0, True)
    assert ledger.number("SELECT count(*) FROM credit_grant") == 4 + 3 + 1
    assert ledger.findings() == []


async def test_a_plan_is_replaced_whose_grant_is_used_up(ledger: Ledger) -> None:
    """A grant of which nothing is left is not among the open ones, and is asked for all the same."""
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        for number in range(5):
            await engine.commit(Commit(held(await engine.authorize(leads(f"r-{number}"))), 200))
        clock.now_us += DAY_US // 2

        swap = ReplaceRecurringGrant(ACCOUNT, 1, "swap", 200)
        first = await engine.replace_recurring_grant(swap)
        clock.now_us += 3 * DAY_US
        again = await engine.replace_recurring_grant(swap)

    assert (first.voided, first.given, first.balance.settled) == (0, 75, 75)
    assert again == first._replace(balance=again.balance, replayed=True)
    assert ledger.findings() == []


async def test_the_columns_are_written_when_they_change_and_no_more(ledger: Ledger) -> None:
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        before = ledger.rows(COLUMNS)

        await engine.commit(Commit(held(await engine.authorize(leads("r"))), 200))
        assert ledger.rows(COLUMNS) == before
        clock.now_us += DAY_US
        await engine.sweep()

    assert before[0][1] == BEGIN_US + DAY_US
    assert ledger.rows(COLUMNS)[0][1] == BEGIN_US + 2 * DAY_US


async def test_a_long_sleep_is_made_up_for_at_once(ledger: Ledger) -> None:
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        clock.now_us += 730 * DAY_US

        await engine.sweep()
        account = await engine.account(ACCOUNT)

    assert account.balance.settled == 80
    assert ledger.number("SELECT count(*) FROM credit_grant") == 731 + 730
    assert ledger.findings() == []


async def test_calls_are_repeatable_and_answer_as_the_first_did(ledger: Ledger) -> None:
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        again = CreateRecurringGrant(
            ACCOUNT, "daily", 50, period=RecurringPeriod.DAY, rollover_max=30
        )
        end = EndRecurringGrant(ACCOUNT, 1, "end", end_us=BEGIN_US + 5 * DAY_US)
        clock.now_us += DAY_US
        first_end = await engine.end_recurring_grant(end)
        clock.now_us += 10 * DAY_US

        repeated = await engine.create_recurring_grant(again)
        repeated_end = await engine.end_recurring_grant(end)
        with pytest.raises(Refused) as reused:
            await engine.end_recurring_grant(EndRecurringGrant(ACCOUNT, 1, "end"))

    assert (repeated.replayed, repeated.recurring.next_us) == (True, BEGIN_US + DAY_US)
    assert (first_end.replayed, first_end.end_us) == (False, BEGIN_US + 5 * DAY_US)
    assert (repeated_end.replayed, repeated_end.end_us) == (True, BEGIN_US + 5 * DAY_US)
    assert repeated.balance.settled == 0
    assert reused.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert ledger.number("SELECT count(*) FROM credit_grant") == 0 + 1 + 2
    assert ledger.findings() == []


async def test_one_that_is_not_there_is_not_found(ledger: Ledger) -> None:
    async with running(ledger, Clock()) as engine:
        await fill(engine)

        with pytest.raises(Refused) as refused:
            await engine.end_recurring_grant(EndRecurringGrant(ACCOUNT, 2, "end"))

    assert refused.value.reason is Reason.RECURRING_GRANT_NOT_FOUND


async def test_a_clock_that_was_set_back_grants_no_period_again(ledger: Ledger) -> None:
    clock = Clock()
    async with running(ledger, clock) as engine:
        await fill(engine)
        clock.now_us += 2 * DAY_US
        await engine.sweep()

    clock.now_us -= DAY_US
    async with running(ledger, clock) as engine:
        held(await engine.authorize(leads("r")))
        await engine.create_recurring_grant(
            CreateRecurringGrant(ACCOUNT, "other", 50, period=RecurringPeriod.DAY)
        )
        clock.now_us += 2 * DAY_US
        await engine.sweep()

    assert ledger.number("SELECT count(DISTINCT grant_id) FROM credit_grant") == 4 + 3 + 3
    assert ledger.findings() == []
