"""Servers that are killed, lines that are cut, queues that are full: each is answered in the end, and charged once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.cli.processes import serving
from tests.clients.line import line_to
from tests.support.gates import Gate, turns
from tests.support.ledgers import ACCOUNT, CHARGE, COMMITTED, Ledger
from tests.support.thorough import thorough
from tests.support.waiting import until, wait_until
from tests.support.watched_store import WatchedStore
from tests.support.writers import is_writer, writers_of
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.rpc.server import Server as OwnServer
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper_client import AsyncClient, Client, DeadlineExceeded, Held, LedgerError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Server

PATIENT_S = 60.0
GATEWAYS = 64


class Load:
    """Gateways that pay for one request after another, and take nothing but a success."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._stopping = False
        self.charged: list[str] = []
        self._gateways = [asyncio.create_task(self._gateway()) for _ in range(GATEWAYS)]

    async def reach(self, charged: int) -> None:
        await until(
            lambda: len(self.charged) >= charged or any(each.done() for each in self._gateways),
            timeout_s=PATIENT_S,
        )

    async def end(self) -> None:
        self._stopping = True
        await asyncio.gather(*self._gateways)

    def assert_charged_exactly_once(self, ledger: Ledger) -> None:
        count = len(self.charged)
        assert len(set(self.charged)) == count
        assert ledger.states() == {COMMITTED: count}
        assert ledger.entries()[CHARGE] == (count, -10 * count)
        assert ledger.findings() == []

    async def _gateway(self) -> None:
        while not self._stopping:
            held = await self._client.authorize(ACCOUNT, "GET", "/v1/leads", timeout=PATIENT_S)
            assert isinstance(held, Held)
            settled = await self._client.commit(held, http_status=200, timeout=PATIENT_S)
            assert settled.credits == 10
            self.charged.append(held.reservation_id)


async def test_a_server_that_is_killed_and_started_again_charges_everything_exactly_once(
    filled: Ledger, tmp_path: Path
) -> None:
    flags = ("--log-level", "error")
    with ExitStack() as servers:
        first = servers.enter_context(serving(tmp_path, *flags, database=filled.url))
        same_place = {"TOLLKEEPER_LISTEN": first.address}
        async with AsyncClient(first.address) as client:
            load = Load(client)
            await load.reach(200)
            workers = writers_of(first.process.pid)
            first.process.kill()
            await asyncio.to_thread(first.wait)
            assert await asyncio.to_thread(
                wait_until, lambda: not any(map(is_writer, workers)), timeout_s=20
            )
            before = len(load.charged)
            second = servers.enter_context(
                serving(tmp_path, *flags, database=filled.url, environment=same_place)
            )
            await load.reach(before + 200)
            await load.end()
            overview = await client.overview(ACCOUNT)
        assert (await asyncio.to_thread(second.stop)).code == 0

    assert overview.total.requests == len(load.charged)
    assert overview.total.credits == overview.lifetime_credits == 10 * len(load.charged)
    assert overview.balance.held == 0
    load.assert_charged_exactly_once(filled)


@thorough
async def test_a_server_that_is_told_to_stop_hands_its_callers_to_the_next_one(
    filled: Ledger, tmp_path: Path
) -> None:
    flags = ("--log-level", "error")
    with ExitStack() as servers:
        first = servers.enter_context(serving(tmp_path, *flags, database=filled.url))
        async with line_to(first.address) as line, AsyncClient(line.address) as client:
            load = Load(client)
            await load.reach(200)
            ending = asyncio.to_thread(first.stop)
            ended = await ending
            second = servers.enter_context(serving(tmp_path, *flags, database=filled.url))
            line.to = second.address
            await load.reach(len(load.charged) + 200)
            await load.end()
        assert ended.code == (await asyncio.to_thread(second.stop)).code == 0

    load.assert_charged_exactly_once(filled)


@thorough
async def test_a_line_that_is_cut_before_the_answer_is_through_charges_everything_once(
    server: Server,
) -> None:
    async with line_to(server.address) as line, AsyncClient(line.address) as client:
        load = Load(client)
        for cut in range(1, 6):
            await load.reach(50 * cut)
            line.cut_answers()
            await until(lambda wanted=cut: line.cuts == wanted)
        await load.reach(len(load.charged) + 100)
        await load.end()

    assert line.cuts == 5
    load.assert_charged_exactly_once(server.ledger)


@thorough
def test_threads_too_are_answered_by_a_server_that_was_started_again(
    filled: Ledger, tmp_path: Path
) -> None:
    flags = ("--log-level", "error")
    with ExitStack() as servers:
        first = servers.enter_context(serving(tmp_path, *flags, database=filled.url))
        client = servers.enter_context(Client(first.address))
        threads = servers.enter_context(ThreadPoolExecutor(20))
        warm = threading.Barrier(21)

        def caller(number: int) -> int:
            for turn in range(4):
                held = client.authorize(
                    ACCOUNT,
                    "GET",
                    "/v1/leads",
                    request_id=f"r-{number}-{turn}",
                    timeout=PATIENT_S,
                )
                if turn == 0:
                    warm.wait(PATIENT_S)
                assert isinstance(held, Held)
                client.commit(held, http_status=200, timeout=PATIENT_S)
            return 4

        calls = [threads.submit(caller, number) for number in range(20)]
        warm.wait(PATIENT_S)
        first.process.kill()
        first.wait()
        second = servers.enter_context(
            serving(
                tmp_path,
                *flags,
                database=filled.url,
                environment={"TOLLKEEPER_LISTEN": first.address},
            )
        )
        assert sum(each.result(PATIENT_S) for each in calls) == 80
        assert second.stop().code == 0

    assert filled.states() == {COMMITTED: 80}
    assert filled.entries()[CHARGE] == (80, -800)
    assert filled.findings() == []


async def test_what_the_ledger_sheds_is_repeated_while_there_is_time(filled: Ledger) -> None:
    gate = Gate()
    settings = EngineSettings(bulk_queue_max=1)
    async with filled.engine(settings, wrap=lambda store: WatchedStore(store, gate)) as engine:
        server = OwnServer(engine, ServerSettings(listen="127.0.0.1:0"))
        address = f"127.0.0.1:{await server.start()}"
        async with AsyncClient(address) as first, AsyncClient(address) as second:
            gate.shut()
            running = asyncio.create_task(authorize(first))
            await gate.is_reached()
            queued = asyncio.create_task(authorize(first))
            shed = None
            while shed is None:  # until the one before it is in the queue
                shed = await failure_of(second, timeout_s=0.01)
            patient = asyncio.create_task(authorize(second))
            await turns()
            gate.open()
            answers = await asyncio.gather(running, queued, patient)
        await server.stop(5)

    assert (shed.reason, shed.code, shed.transient) == (
        "OVERLOADED",
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        True,
    )
    assert shed.retry_after is not None
    assert all(isinstance(each, Held) and not each.replayed for each in answers)
    assert filled.findings() == []


async def authorize(client: AsyncClient, timeout_s: float = PATIENT_S) -> object:
    return await client.authorize(ACCOUNT, "GET", "/v1/leads", timeout=timeout_s)


async def failure_of(client: AsyncClient, timeout_s: float) -> LedgerError | None:
    """Return what a call was refused with; None where its time was over before."""
    try:
        await authorize(client, timeout_s)
    except LedgerError as refused:
        return refused
    except DeadlineExceeded:
        return None
    raise AssertionError("the queue had room")


@thorough
async def test_what_is_no_use_repeating_is_sent_once(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        with pytest.raises(LedgerError) as refused:
            await client.commit("1a-2b", http_status=200)
        denied = await client.authorize("nobody", "GET", "/v1/leads")

    assert (refused.value.reason, refused.value.transient) == ("RESERVATION_NOT_FOUND", False)
    assert str(refused.value).startswith("RESERVATION_NOT_FOUND: ")
    assert not isinstance(denied, Held)
    assert server.batches() == 2


async def test_whoever_asks_hears_of_every_repeat_before_it_is_made() -> None:
    heard: list[LedgerError] = []
    nobody = "127.0.0.1:1"

    def blocking() -> None:
        with Client(nobody, on_repeat=heard.append) as client:
            client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="thread", timeout=0.4)

    with pytest.raises(LedgerError):
        await asyncio.to_thread(blocking)
    async with AsyncClient(nobody, on_repeat=heard.append) as client:
        with pytest.raises(LedgerError):
            await client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="task", timeout=0.4)

    assert {(each.key, each.code) for each in heard} == {
        ("thread", grpc.StatusCode.UNAVAILABLE),
        ("task", grpc.StatusCode.UNAVAILABLE),
    }
