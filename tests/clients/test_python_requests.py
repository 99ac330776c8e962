"""A request from its hold to its end: whichever way the block ends, the ledger is told so."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.ledgers import ACCOUNT, COMMITTED, RELEASED
from tests.support.thorough import thorough
from tests.support.waiting import until
from tollkeeper_client import AsyncClient, Client, Denied, Free, Held, LedgerError, Outcome

if TYPE_CHECKING:
    from tests.clients.conftest import Server


DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


class BrokenError(Exception):
    """What a gateway raises."""


ENDS: list[tuple[int | None, type[BaseException] | None, int, Outcome]] = [
    (200, None, COMMITTED, Outcome.VALID_RESPONSE),
    (301, None, RELEASED, Outcome.REDIRECTED),
    (404, None, RELEASED, Outcome.VALIDATION_FAILED),
    (503, None, RELEASED, Outcome.SERVER_ERROR),
    (200, BrokenError, COMMITTED, Outcome.VALID_RESPONSE),
    (None, None, RELEASED, Outcome.CANCELLED),
    (None, BrokenError, RELEASED, Outcome.SERVER_ERROR),
    (None, asyncio.CancelledError, RELEASED, Outcome.CANCELLED),
    (None, KeyboardInterrupt, RELEASED, Outcome.CANCELLED),
]


@thorough
async def test_a_block_of_a_task_is_settled_by_how_it_ended(server: Server) -> None:
    async def block(
        client: AsyncClient, status: int | None, error: type[BaseException] | None
    ) -> None:
        async with client.request(ACCOUNT, "GET", "/v1/leads") as request:
            request.status = status
            if error is not None:
                raise error

    async with AsyncClient(server.address) as client:
        for status, error, _, _ in ENDS:
            with raising(error):
                await block(client, status, error)

    assert settlements(server) == [(state, outcome) for _, _, state, outcome in ENDS]


def test_a_block_of_a_thread_is_settled_by_how_it_ended(server: Server) -> None:
    def block(client: Client, status: int | None, error: type[BaseException] | None) -> None:
        with client.request(ACCOUNT, "GET", "/v1/leads") as request:
            request.status = status
            if error is not None:
                raise error

    with Client(server.address) as client:
        for status, error, _, _ in ENDS:
            with raising(error):
                block(client, status, error)

    assert settlements(server) == [(state, outcome) for _, _, state, outcome in ENDS]


async def test_what_is_denied_or_free_has_nothing_to_settle(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        async with client.request("nobody", "GET", "/v1/leads") as denied:
            denied.status = 200
        async with client.request(ACCOUNT, "GET", "/v1/free") as free:
            free.status = 200

    assert denied.denied is not None
    assert denied.denied.http_status == 403
    assert isinstance(denied.decision, Denied)
    assert free.denied is None
    assert isinstance(free.decision, Free)
    assert server.batches() == 2


@thorough
async def test_a_block_of_a_task_extends_its_hold(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        async with client.request(ACCOUNT, "GET", "/v1/leads", request_id="job") as request:
            begun = datetime.now(UTC)
            longer = await request.extend(DAY)
            again = await request.extend()
            repeated = await client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="job")
            request.status = 200
        assert request.held is not None
        with pytest.raises(LedgerError) as ended:
            await client.extend(request.held, DAY)
        async with client.request(ACCOUNT, "GET", "/v1/free") as free:
            with pytest.raises(ValueError, match="nothing to extend"):
                await free.extend(DAY)

    assert isinstance(repeated, Held)
    assert longer.expire_time == again.expire_time == repeated.expire_time
    assert abs(longer.expire_time - begun - DAY) < MINUTE
    assert longer.balance.held == 10
    assert (ended.value.reason, ended.value.key) == (
        "ALREADY_COMMITTED",
        request.held.reservation_id,
    )
    assert free.held is None
    assert settlements(server) == [(COMMITTED, Outcome.VALID_RESPONSE)]


@thorough
def test_a_block_of_a_thread_extends_its_hold(server: Server) -> None:
    with Client(server.address) as client, client.request(ACCOUNT, "GET", "/v1/leads") as request:
        begun = datetime.now(UTC)
        longer = request.extend(DAY)
        assert request.held is not None
        again = client.extend(request.held.reservation_id)
        request.status = 200

    assert abs(longer.expire_time - begun - DAY) < MINUTE
    assert again.expire_time == longer.expire_time
    assert settlements(server) == [(COMMITTED, Outcome.VALID_RESPONSE)]


@thorough
async def test_a_task_that_is_cancelled_again_and_again_gives_its_hold_back(
    server: Server,
) -> None:
    begun = asyncio.Event()

    async def handle(client: AsyncClient) -> None:
        async with client.request(ACCOUNT, "GET", "/v1/leads"):
            begun.set()
            await asyncio.Event().wait()

    async with AsyncClient(server.address) as client:
        task = asyncio.create_task(handle(client))
        await begun.wait()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await until(lambda: server.ledger.states() == {RELEASED: 1})

    assert task.cancelled()


@thorough
async def test_a_settlement_that_fails_is_raised_unless_the_block_has_failed(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def block(client: AsyncClient, error: type[BaseException] | None) -> None:
        async with client.request(ACCOUNT, "GET", "/v1/leads") as request:
            assert isinstance(request.decision, Held)
            await client.release(request.decision)
            request.status = 200
            if error is not None:
                raise error

    async with AsyncClient(server.address) as client:
        with pytest.raises(LedgerError) as failed:
            await block(client, None)
        with caplog.at_level(logging.WARNING), pytest.raises(BrokenError):
            await block(client, BrokenError)

    assert failed.value.reason == "ALREADY_RELEASED"
    assert "was not settled: ALREADY_RELEASED" in caplog.text


@thorough
async def test_the_overview_shows_what_was_paid(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        for status in (200, 200, 500):
            async with client.request(ACCOUNT, "GET", "/v1/leads") as request:
                request.status = status
        await client.authorize(ACCOUNT, "GET", "/v1/reports")
        overview = await client.overview(ACCOUNT, time_zone="Europe/Berlin")
    with Client(server.address) as client:
        again = client.overview(ACCOUNT, time_zone="Europe/Berlin")
        with pytest.raises(LedgerError) as unknown:
            client.overview("nobody")

    assert (overview.account_id, overview.lifetime_credits) == (ACCOUNT, 20)
    assert (overview.total.requests, overview.total.credits, overview.total.released) == (2, 20, 1)
    assert overview.total.released_by_outcome == {Outcome.SERVER_ERROR: 1}
    assert (overview.total.denied_by_reason, overview.total.free_requests) == ({}, 0)
    assert [(each.path, each.usage.credits) for each in overview.endpoints] == [("/v1/leads", 20)]
    assert sum(each.usage.credits for each in overview.series) == 20
    assert overview.start_time <= overview.as_of < overview.end_time
    assert overview.balance.held == 75
    assert [each.expire_time for each in overview.grants] == [None]
    assert overview.recurring_grants == ()
    assert overview.prices is not None
    assert {(each.path, each.credits) for each in overview.prices.prices} >= {("/v1/reports", 75)}
    assert (again.total, again.balance, again.grants) == (
        overview.total,
        overview.balance,
        overview.grants,
    )
    assert unknown.value.reason == "ACCOUNT_NOT_FOUND"


def settlements(server: Server) -> list[tuple[int, int]]:
    """The state and the outcome of every reservation, in order."""
    return [
        (state, outcome)
        for state, outcome in server.ledger.rows(
            "SELECT state, outcome FROM reservation ORDER BY reservation_id"
        )
    ]


def raising(error: type[BaseException] | None) -> AbstractContextManager[object]:
    """Expect what the block raises to come out as it was."""
    return nullcontext() if error is None else pytest.raises(error)


@thorough
async def test_the_ledger_keeps_who_called(server: Server) -> None:
    async with (
        AsyncClient(server.address, caller="gateway eu-7") as client,
        client.request(ACCOUNT, "GET", "/v1/leads") as request,
    ):
        request.status = 200
    with Client(server.address) as client:
        client.authorize(ACCOUNT, "GET", "/v1/leads")
    with pytest.raises(ValueError, match="printable ASCII"):
        Client(server.address, caller="Straße")

    kept = server.ledger.rows(
        "SELECT authorized_by, settled_by FROM reservation ORDER BY reservation_id"
    )
    assert kept == [("gateway eu-7", "gateway eu-7"), (socket.gethostname(), "")]
