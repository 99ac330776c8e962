"""Each caller has its own deadline and cancellation; an operation that was not sent by then never happens."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.support.ledgers import ACCOUNT, HELD
from tests.support.thorough import thorough
from tests.support.waiting import until
from tollkeeper_client import AsyncClient, Client, DeadlineExceeded, Held, LedgerError
from tollkeeper_client.batching import BATCHES_MAX

if TYPE_CHECKING:
    from tests.clients.conftest import Server
    from tollkeeper_client import Decision

PATIENT_S = 60.0
SHORT_S = 0.3
AT_ONCE_S = 5.0


def authorize(
    client: AsyncClient, request_id: str, timeout_s: float = PATIENT_S
) -> asyncio.Task[Decision]:
    call = client.authorize(ACCOUNT, "GET", "/v1/leads", request_id=request_id, timeout=timeout_s)
    return asyncio.ensure_future(call)


async def fill_the_way(client: AsyncClient) -> list[asyncio.Task[Decision]]:
    """Have as many batches under way as there may be."""
    calls: list[asyncio.Task[Decision]] = []
    for number in range(BATCHES_MAX):
        calls.append(authorize(client, f"first-{number}"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return calls


@thorough
async def test_one_callers_short_deadline_costs_his_neighbours_nothing(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        await authorize(client, "warm")
        with server.paused():
            begun_s = time.monotonic()
            long = [authorize(client, f"r-{n}") for n in range(20)]
            short = authorize(client, "short", SHORT_S)
            with pytest.raises(DeadlineExceeded, match="a repeat with the same key") as late:
                await short
            waited_s = time.monotonic() - begun_s
            assert not any(call.done() for call in long)
        answers = await asyncio.gather(*long)
        again = await authorize(client, late.value.key)

    assert SHORT_S <= waited_s < AT_ONCE_S
    assert isinstance(late.value, TimeoutError)
    assert (late.value.key, late.value.sent) == ("short", True)
    assert all(isinstance(each, Held) and not each.replayed for each in answers)
    assert isinstance(again, Held)
    assert server.ledger.states() == {HELD: 22}
    assert server.batches() == 3, "the neighbours' batch was not cut short"


async def test_what_was_not_sent_before_its_deadline_never_happens(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        await authorize(client, "warm")
        with server.paused():
            first = await fill_the_way(client)
            short = [authorize(client, f"short-{n}", SHORT_S) for n in range(10)]
            long = [authorize(client, f"long-{n}") for n in range(10)]
            ended = await asyncio.gather(*short, return_exceptions=True)
        await asyncio.gather(*first, *long)

    assert [isinstance(each, DeadlineExceeded) and each.sent for each in ended] == [False] * 10
    assert all("nothing has happened" in str(each) for each in ended)
    assert server.ledger.states() == {HELD: 1 + len(first) + 10}


@thorough
async def test_a_call_that_is_cancelled_before_it_was_sent_never_happens(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        await authorize(client, "warm")
        with server.paused():
            first = await fill_the_way(client)
            waiting = [authorize(client, f"r-{n}") for n in range(10)]
            await asyncio.sleep(0)
            for call in waiting[::2]:
                call.cancel()
            ended = await asyncio.gather(*waiting[::2], return_exceptions=True)
        await asyncio.gather(*first, *waiting[1::2])

    assert all(isinstance(each, asyncio.CancelledError) for each in ended)
    assert server.ledger.states() == {HELD: 1 + len(first) + 5}


async def test_a_call_that_is_cancelled_after_it_was_sent_stays_open_and_can_be_repeated(
    server: Server,
) -> None:
    async with AsyncClient(server.address) as client:
        await authorize(client, "warm")
        with server.paused():
            calls = [authorize(client, f"r-{n}") for n in range(10)]
            for _ in range(5):
                await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            ended = await asyncio.gather(*calls[::2], return_exceptions=True)
        answers = await asyncio.gather(*calls[1::2])
        again = await asyncio.gather(*[authorize(client, f"r-{n}") for n in range(10)])

    assert all(isinstance(each, asyncio.CancelledError) for each in ended)
    assert all(isinstance(each, Held) for each in answers)
    assert all(isinstance(each, Held) and each.replayed for each in again)
    assert server.ledger.states() == {HELD: 11}


@thorough
async def test_batches_whose_callers_have_all_gone_make_room(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        await authorize(client, "warm")
        with server.paused():
            first = await fill_the_way(client)
            waiting = authorize(client, "waiting", 2 * SHORT_S)
            for call in first:
                call.cancel()
            with pytest.raises(DeadlineExceeded) as late:
                await waiting

        assert late.value.sent
        await authorize(client, "last")


@thorough
async def test_a_task_that_times_out_by_itself_is_a_cancellation(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        await authorize(client, "warm")
        with server.paused(), pytest.raises(TimeoutError) as late:
            async with asyncio.timeout(SHORT_S):
                await client.authorize(ACCOUNT, "GET", "/v1/leads", timeout=PATIENT_S)

    assert not isinstance(late.value, DeadlineExceeded)


@thorough
def test_one_threads_short_deadline_costs_the_others_nothing(server: Server) -> None:
    with Client(server.address) as client, ThreadPoolExecutor(20) as threads:

        def call(number: int) -> object:
            try:
                return client.authorize(
                    ACCOUNT,
                    "GET",
                    "/v1/leads",
                    request_id=f"r-{number}",
                    timeout=PATIENT_S if number % 2 else SHORT_S,
                )
            except DeadlineExceeded as late:
                return late

        call(-1)
        with server.paused():
            calls = [threads.submit(call, number) for number in range(20)]
            late = [each.result(AT_ONCE_S) for each in calls[::2]]
            assert not any(each.done() for each in calls[1::2])
        answers = [each.result(PATIENT_S) for each in calls[1::2]]

    assert all(isinstance(each, DeadlineExceeded) for each in late)
    assert all(isinstance(each, Held) for each in answers)


@thorough
async def test_where_no_server_is_the_last_thing_that_was_heard_is_told(server: Server) -> None:
    server.stop()
    async with AsyncClient(server.address) as client:
        begun_s = time.monotonic()
        with pytest.raises((LedgerError, DeadlineExceeded)) as unreachable:
            await client.authorize(ACCOUNT, "GET", "/v1/leads", timeout=1)
        overview = client.overview(ACCOUNT, timeout=1)
        with pytest.raises((LedgerError, DeadlineExceeded)):
            await overview

    assert time.monotonic() - begun_s < 2 + AT_ONCE_S
    error = unreachable.value
    told = error if isinstance(error, LedgerError) else error.__cause__
    assert isinstance(told, LedgerError)
    assert (told.code, told.transient) == (grpc.StatusCode.UNAVAILABLE, True)


@thorough
async def test_callers_wait_in_order_and_none_is_dropped(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        await authorize(client, "warm")
        with server.paused():
            await fill_the_way(client)
            calls = [authorize(client, f"r-{n}") for n in range(2_500)]
            await asyncio.sleep(0)
        await until(calls[0].done)
        answers = await asyncio.gather(*calls)

    reservations = [each.reservation_id for each in answers if isinstance(each, Held)]
    assert len(set(reservations)) == 2_500
    assert server.batches() <= 1 + BATCHES_MAX + 3
