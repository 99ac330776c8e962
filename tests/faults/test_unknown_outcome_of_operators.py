"""A connection that is lost during the commit of what an operator asked for: its caller is told the first answer.

Every administrative command is tried, one after the other, on one account.
"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.test_unknown_outcome import OUTAGES, Fails
from tests.support.ledgers import ACCOUNT, Ledger, fill, held, leads
from tests.support.operators import ask, one_of_each
from tests.support.watched_store import WatchedStore
from tollkeeper.core.commands import (
    Commit,
    Debit,
    GrantCredits,
    Refund,
    VoidGrant,
)
from tollkeeper.core.recurring.commands import (
    CreateRecurringGrant,
    EndRecurringGrant,
)
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.engine.lanes.administrative import ENTRIES


@pytest.fixture
def fails() -> Fails:
    return Fails()


@pytest.mark.parametrize("outage", OUTAGES, ids=", ".join)
async def test_the_first_caller_of_every_command_is_told_that_it_was_the_first(
    ledger: Ledger, fails: Fails, outage: list[str]
) -> None:
    told: dict[str, Any] = {}
    async with ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine)
        charge = held(await engine.authorize(leads("r")))
        await engine.commit(Commit(charge, http_status=200))
        grant = await engine.grant_credits(GrantCredits(ACCOUNT, "mistake", 50))

        for command in one_of_each(charge, grant.grant_id):
            fails.steps = list(outage)
            told[type(command).__name__] = await ask(engine, command)
            assert fails.steps == []
        again = {
            type(command).__name__: await ask(engine, command)
            for command in one_of_each(charge, grant.grant_id)
        }

    assert told.keys() == {each.__name__ for each in ENTRIES}
    assert [name for name, answer in told.items() if getattr(answer, "replayed", False)] == []
    assert [name for name, answer in again.items() if not getattr(answer, "replayed", True)] == []
    assert ledger.findings() == []


@pytest.mark.parametrize("kind", [Refund, VoidGrant, Debit, GrantCredits, EndRecurringGrant])
async def test_a_command_that_another_server_did_meanwhile_is_a_repeat_here(
    ledger: Ledger, fails: Fails, kind: type
) -> None:
    async with (
        ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as ours,
        ledger.engine() as other,
    ):
        await fill(ours)
        charge = held(await ours.authorize(leads("r")))
        await ours.commit(Commit(charge, http_status=200))
        grant = await ours.grant_credits(GrantCredits(ACCOUNT, "mistake", 50))
        await ask(ours, CreateRecurringGrant(ACCOUNT, "plan", 10, RecurringPeriod.YEAR))
        command = next(each for each in one_of_each(charge, grant.grant_id) if type(each) is kind)
        loop = asyncio.get_running_loop()

        def ask_elsewhere() -> None:
            call = ask(other, command)
            assert not asyncio.run_coroutine_threadsafe(call, loop).result(20).replayed

        fails.steps = ["before commit"]
        fails.at_retry = ask_elsewhere
        answer = await ask(ours, command)

    assert answer.replayed is True
    assert ledger.findings() == []


async def test_a_request_id_that_comes_twice_in_one_batch_is_answered_once_as_a_repeat(
    ledger: Ledger, fails: Fails
) -> None:
    async with ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine)
        debit = Debit(ACCOUNT, "charge-back", 20)

        fails.steps = ["after commit"]
        answers = await asyncio.gather(engine.debit(debit), engine.debit(replace(debit)))

    assert [answer.replayed for answer in answers] == [False, True]
