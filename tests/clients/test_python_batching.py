"""Calls that come together travel together, and each caller gets its own answer or error."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.support.ledgers import ACCOUNT, CHARGE, COMMITTED, HELD
from tests.support.thorough import thorough
from tollkeeper_client import (
    AsyncClient,
    Client,
    Committed,
    DenialReason,
    Denied,
    Extended,
    Free,
    Held,
    LedgerError,
    Outcome,
    Released,
    State,
    TollkeeperError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.clients.conftest import Server

TASKS = 3_000
THREADS = 50
TURNS = 20
PATIENT_S = 60.0


async def pay(client: AsyncClient, request_id: str | None = None) -> Committed:
    held = await client.authorize(
        ACCOUNT, "GET", "/v1/leads", request_id=request_id, timeout=PATIENT_S
    )
    assert isinstance(held, Held)
    return await client.commit(held, http_status=200, timeout=PATIENT_S)


async def test_thousands_of_tasks_are_a_handful_of_batches_and_each_is_charged_once(
    server: Server,
) -> None:
    async with AsyncClient(server.address) as client:
        settled = await asyncio.gather(*[pay(client) for _ in range(TASKS)])

    assert {(each.state, each.outcome, each.credits, each.replayed) for each in settled} == {
        (State.COMMITTED, Outcome.VALID_RESPONSE, 10, False)
    }
    assert server.ledger.states() == {COMMITTED: TASKS}
    assert server.ledger.entries()[CHARGE] == (TASKS, -10 * TASKS)
    assert server.batches() < 2 * TASKS / 100


async def test_a_call_alone_goes_at_once(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        for _ in range(5):
            await pay(client)

    assert server.batches() == 10


@thorough
def test_fifty_threads_share_batches(server: Server) -> None:
    with Client(server.address) as client, ThreadPoolExecutor(THREADS) as threads:

        def caller(number: int) -> list[Committed]:
            settled: list[Committed] = []
            for turn in range(TURNS):
                request_id = f"r-{number}-{turn}"
                held = client.authorize(
                    ACCOUNT, "GET", "/v1/leads", request_id=request_id, timeout=PATIENT_S
                )
                assert isinstance(held, Held)
                assert held.request_id == request_id
                settled.append(client.commit(held, http_status=200, timeout=PATIENT_S))
            return settled

        settled = [each for caller_s in threads.map(caller, range(THREADS)) for each in caller_s]

    assert {each.credits for each in settled} == {10}
    assert server.ledger.states() == {COMMITTED: THREADS * TURNS}
    assert server.ledger.entries()[CHARGE] == (THREADS * TURNS, -10 * THREADS * TURNS)
    assert server.batches() < 2 * THREADS * TURNS / 3


@thorough
def test_one_client_serves_several_event_loops_one_after_another_and_at_once(
    server: Server,
) -> None:
    client = AsyncClient(server.address)

    async def work() -> int:
        return len(await asyncio.gather(*[pay(client) for _ in range(100)]))

    in_turn = [asyncio.run(work()) for _ in range(2)]
    with ThreadPoolExecutor(3) as threads:
        at_once = [each.result() for each in [threads.submit(asyncio.run, work()) for _ in "123"]]
    asyncio.run(client.close())

    assert in_turn + at_once == [100] * 5
    assert server.ledger.states() == {COMMITTED: 500}


async def test_neighbours_in_one_batch_have_answers_and_errors_of_their_own(
    server: Server,
) -> None:
    async with AsyncClient(server.address) as client:
        held = await client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="held")
        given_back = await client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="back")
        longer = await client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="longer")
        assert isinstance(held, Held)
        assert isinstance(given_back, Held)
        assert isinstance(longer, Held)

        calls: list[Awaitable[object]] = [
            client.authorize(ACCOUNT, "GET", "/v1/reports", request_id="r-1"),
            client.authorize("nobody", "GET", "/v1/leads", request_id="r-2"),
            client.authorize(ACCOUNT, "GET", "/v1/free", request_id="r-3"),
            client.authorize(ACCOUNT, "GET", "/v1/leads", dry_run=True),
            client.commit(held, outcome=Outcome.VALID_RESPONSE),
            client.release(given_back),
            client.extend(longer, timedelta(hours=1)),
            client.authorize("", "get", "/v1/leads"),
            client.commit("1a-2b", http_status=200),
            client.authorize(ACCOUNT, "GET", "/v1/reports", request_id="held"),
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)

    reports, nobody, free, dry, committed, released, extended, *errors = answers
    assert isinstance(reports, Held)
    assert (reports.credits, reports.price_version, reports.state) == (75, 1, State.HELD)
    assert (reports.expire_time - reports.create_time).total_seconds() == 60
    assert reports.balance.held == 75 + 10 + 10 + 10
    assert isinstance(nobody, Denied)
    assert (nobody.reason, nobody.http_status) == (DenialReason.ACCOUNT_NOT_FOUND, 403)
    assert isinstance(free, Free)
    assert isinstance(dry, Free)
    assert (free.credits, dry.credits) == (0, 10)
    assert isinstance(committed, Committed)
    assert committed.credits == 10
    assert isinstance(released, Released)
    assert released.state is State.RELEASED
    assert isinstance(extended, Extended)
    assert extended.expire_time > longer.expire_time + timedelta(minutes=50)
    facts = [
        (each.reason, each.code, [field.field for field in each.fields], each.key)
        for each in errors
        if isinstance(each, LedgerError)
    ]
    assert [fact[:3] for fact in facts] == [
        ("INVALID_FIELD", grpc.StatusCode.INVALID_ARGUMENT, ["account_id", "method"]),
        ("RESERVATION_NOT_FOUND", grpc.StatusCode.NOT_FOUND, []),
        ("IDEMPOTENCY_KEY_REUSED", grpc.StatusCode.INVALID_ARGUMENT, ["path"]),
    ]
    assert [fact[3] for fact in facts[1:]] == ["1a-2b", "held"]
    assert server.ledger.states() == {HELD: 2, COMMITTED: 1, 3: 1}
    assert server.batches() == 3 + 1


@thorough
async def test_what_cannot_be_sent_fails_alone(server: Server) -> None:
    too_long = "x" * (33 * 1024 * 1024)
    async with AsyncClient(server.address) as client:
        answers = await asyncio.gather(
            client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="r-1"),
            client.authorize(ACCOUNT, "GET", too_long, request_id="r-2", timeout=PATIENT_S),
            client.authorize(ACCOUNT, "GET", "\ud800", request_id="r-3"),
            client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="r-4"),
            return_exceptions=True,
        )
        with pytest.raises(ValueError, match="either http_status or outcome"):
            await client.commit("1a-2b")
        with pytest.raises(ValueError, match="every call has a deadline"):
            await client.authorize(ACCOUNT, "GET", "/v1/leads", timeout=float("inf"))

    first, long, unwritable, last = answers
    assert isinstance(first, Held)
    assert isinstance(last, Held)
    assert isinstance(long, LedgerError)
    assert (long.code, long.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "")
    assert isinstance(unwritable, ValueError)
    assert not isinstance(unwritable, TollkeeperError)
    assert server.ledger.states() == {HELD: 2}


@thorough
def test_no_thread_of_the_client_outlives_it(server: Server) -> None:
    before = set(threading.enumerate())

    with Client(server.address) as client:
        client.authorize(ACCOUNT, "GET", "/v1/leads")
    for thread in set(threading.enumerate()) - before:
        thread.join(10)

    assert set(threading.enumerate()) == before
