"""PostgreSQL says nothing any more, though the connections to it are there: everything is given up in time."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.processes import Serving, serving
from tests.faults.silent import silent_proxy
from tests.support.gates import answer_or_error
from tests.support.ledgers import (
    ACCOUNT,
    CHARGE,
    COMMITTED,
    EXPIRED,
    HELD,
    Ledger,
    fill,
    held,
    leads,
)
from tests.support.thorough import thorough
from tollkeeper.core.account import shard_of_id
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Commit, ListAccounts
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.webhooks.commands import ListWebhooks
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings

pytestmark = pytest.mark.postgres

ANSWER_WITHIN_S = 1.0
SETTINGS = EngineSettings(answer_within_s=ANSWER_WITHIN_S, retry_for_s=0.5)
GIVEN_UP_WITHIN_S = 8.0
"""Generous: what would be wrong is to wait for ever."""
BACK_WITHIN_S = 5.0


async def refused_in_time(call: Coroutine[Any, Any, Any]) -> Refused:
    async with asyncio.timeout(GIVEN_UP_WITHIN_S):
        refused = await answer_or_error(call)
    assert isinstance(refused, Refused), refused
    assert refused.reason is Reason.STORE_UNAVAILABLE
    return refused


async def until_answered(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Repeat a call until it is answered, as a gateway would."""
    while isinstance(answer := await answer_or_error(call()), Refused):
        assert answer.reason is Reason.STORE_UNAVAILABLE
        await asyncio.sleep(0.05)
    return answer


@thorough
@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
async def test_a_batch_and_a_read_that_are_not_answered_are_given_up_and_service_comes_back(
    postgres_ledger: Ledger, processes: bool
) -> None:
    async with silent_proxy(postgres_ledger.url) as (proxy, url):
        through = Ledger(url)
        async with through.engine(SETTINGS, processes=processes) as engine:
            await fill(engine)
            first = held(await engine.authorize(leads("before")))
            proxy.fall_silent()

            await asyncio.gather(
                refused_in_time(engine.authorize(leads("in the silence"))),
                refused_in_time(engine.account(ACCOUNT)),
                refused_in_time(engine.accounts(ListAccounts(10))),
                refused_in_time(engine.commit(Commit(first, http_status=200))),
            )
            await refused_in_time(engine.authorize(leads("later in the silence")))

            proxy.speak()
            async with asyncio.timeout(BACK_WITHIN_S):
                await until_answered(lambda: engine.commit(Commit(first, http_status=200)))
                again = await until_answered(lambda: engine.authorize(leads("in the silence")))
                view = await until_answered(lambda: engine.account(ACCOUNT))

            assert isinstance(again, Authorized)
            assert view.balance.settled == 490
    assert postgres_ledger.entries()[CHARGE] == (1, -10)
    assert postgres_ledger.states() == {COMMITTED: 1, HELD: 1}
    assert postgres_ledger.findings() == []


@thorough
async def test_webhooks_are_read_again_when_the_database_is_back(postgres_ledger: Ledger) -> None:
    async with (
        silent_proxy(postgres_ledger.url) as (proxy, url),
        Ledger(url).engine(SETTINGS) as engine,
    ):
        assert not (await engine.webhooks.webhooks(ListWebhooks(10))).webhooks
        proxy.fall_silent()
        await refused_in_time(engine.webhooks.webhooks(ListWebhooks(10)))
        proxy.speak()
        async with asyncio.timeout(BACK_WITHIN_S):
            await until_answered(lambda: engine.webhooks.webhooks(ListWebhooks(10)))


@thorough
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_keeps_to_its_time_whatever_the_database_does(
    postgres_ledger: Ledger, tmp_path: Path, workers: int
) -> None:
    """Here it would answer within a minute at the earliest: nothing but the stop ends the wait."""
    async with silent_proxy(postgres_ledger.url) as (proxy, url):
        settings = ("--workers", str(workers), "--drain-s", "1", "--store-timeout-s", "60")

        def start() -> Any:
            return serving(tmp_path, *settings, database=url)

        running = start()
        server: Serving = await asyncio.to_thread(running.__enter__)
        try:
            await asyncio.to_thread(server.json, "account", "create", ACCOUNT)
            proxy.fall_silent()
            calls = [
                asyncio.to_thread(server.run, "account", "show", ACCOUNT),
                asyncio.to_thread(server.run, "authorize", ACCOUNT, "GET", "/v1/leads"),
            ]
            waiting = [asyncio.create_task(each) for each in calls]
            await asyncio.sleep(1)
            begun_s = time.monotonic()
            ended = await asyncio.to_thread(server.stop, signal.SIGTERM)
            took_s = time.monotonic() - begun_s
            await asyncio.gather(*waiting)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
    assert ended.code == 0, ended.err
    assert took_s < 10


async def test_a_locked_account_waits_alone(postgres_ledger: Ledger) -> None:
    ledger = postgres_ledger
    async with ledger.engine(EngineSettings(retry_for_s=1.5), sweep=True) as engine:
        await fill(engine, "a", "b", "c")
        kept = held(await engine.authorize(leads("kept", "a", hold_us=2_000_000)))
        with psycopg.connect(ledger.url.replace("+psycopg", "")) as foreign:
            foreign.execute("SELECT * FROM account WHERE account_id = 'a' FOR UPDATE")
            blocked = asyncio.create_task(answer_or_error(engine.authorize(leads("r", "a"))))
            # The first batch has to find out; from then on, only `a` waits.
            await engine.authorize(leads("first", "b"))
            for number in range(40):
                async with asyncio.timeout(0.45):
                    answer = await engine.authorize(leads(f"r-{number}", "bc"[number % 2]))
                    await engine.commit(Commit(held(answer), http_status=200))
            in_a_batch = await engine.batch([leads("bulk", "a"), leads("bulk", "b")])
            refused = await blocked
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.STORE_UNAVAILABLE
            assert "locked" in refused.message
            assert isinstance(in_a_batch[0], Refused)
            assert isinstance(in_a_batch[1], Authorized)

            waiting = asyncio.create_task(engine.authorize(leads("r", "a")))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            foreign.rollback()
        answer = await waiting
        assert isinstance(answer, Authorized)
        assert not answer.replayed
        await until_expired(engine, ledger)
        del kept
    assert ledger.states("b")[COMMITTED] == 20
    assert ledger.findings() == []


async def test_what_is_locked_does_not_keep_the_sweep_from_what_comes_after_it(
    postgres_ledger: Ledger,
) -> None:
    """More is overdue of the locked account than one look finds, and its shard comes first."""
    ledger = postgres_ledger
    names = sorted((f"account-{number}" for number in range(8)), key=shard_of_id)
    async with ledger.engine(EngineSettings(sweep_batch=5)) as engine:
        await fill(engine, *names)
        for number in range(8):
            held(await engine.authorize(leads(f"r-{number}", names[0], hold_us=1)))
        held(await engine.authorize(leads("r", names[-1], hold_us=1)))
        with psycopg.connect(ledger.url.replace("+psycopg", "")) as foreign:
            foreign.execute("SELECT 1 FROM account WHERE account_id = %s FOR UPDATE", (names[0],))
            await engine.sweep()
            states = ledger.states(names[0]), ledger.states(names[-1])
            foreign.rollback()
        await engine.sweep()

    assert states == ({HELD: 8}, {EXPIRED: 1})
    assert ledger.states(names[0]) == {EXPIRED: 8}
    assert ledger.findings() == []


async def until_expired(engine: Engine, ledger: Ledger) -> None:
    """The sweep met the locked account, and comes back to it."""
    async with asyncio.timeout(10):
        while EXPIRED not in ledger.states("a"):
            await asyncio.sleep(0.1)
            await engine.account("a")
