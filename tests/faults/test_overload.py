"""More than can be done: the queue has a bound, and nothing is done for a caller who has gone."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import pytest

from tests.rpc.wire import read_refusal
from tests.support.gates import Gate, turns
from tests.support.ledgers import ACCOUNT, HELD, Ledger, fill, leads
from tests.support.watched_store import WatchedStore
from tollkeeper.core.change import Authorized, Denied
from tollkeeper.core.commands import Authorize
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1 import ledger_pb2
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub


async def test_a_full_queue_refuses_and_says_when_to_come_again(ledger: Ledger) -> None:
    gate = Gate()
    settings = EngineSettings(queue_max=10)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        gate.shut()
        running = asyncio.create_task(engine.authorize(leads("running")))
        await gate.is_reached()

        calls = [asyncio.create_task(engine.authorize(leads(f"r-{n}"))) for n in range(25)]
        await turns()
        refused = [call.exception() for call in calls if call.done()]
        assert len(refused) == 15
        assert all(
            isinstance(each, Refused) and each.reason is Reason.OVERLOADED and each.retry_after_us
            for each in refused
        )

        gate.open()
        answers = await asyncio.gather(running, *calls, return_exceptions=True)
        assert sum(isinstance(answer, Authorized) for answer in answers) == 11
        assert isinstance(await engine.authorize(leads("later")), Authorized)
    assert ledger.states() == {HELD: 12}
    assert ledger.findings() == []


async def test_nothing_is_done_for_a_caller_who_went_before_his_turn(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        gate.shut()
        running = asyncio.create_task(engine.authorize(leads("running")))
        await gate.is_reached()
        calls = [asyncio.create_task(engine.authorize(leads(f"r-{n}"))) for n in range(10)]
        await turns()

        for call in calls[::2]:
            call.cancel()
        await turns()
        gate.open()
        await asyncio.gather(running, *calls[1::2])

        assert gate.sizes[-1] == 5
    assert ledger.states() == {HELD: 6}


async def test_what_has_begun_is_finished_though_its_caller_went(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        gate.shut()
        running = asyncio.create_task(engine.authorize(leads("r")))
        await gate.is_reached()

        running.cancel()
        await turns()
        gate.open()
        again = await engine.authorize(leads("r"))

        assert isinstance(again, Authorized)
        assert again.replayed
    assert ledger.states() == {HELD: 1}


async def test_a_deadline_that_passes_before_the_call_has_its_turn_changes_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    settings = EngineSettings(queue_max=3)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        gone = asyncio.Semaphore(0)
        monkeypatch.setattr(engine, "authorize", telling_who_went(engine, gone))
        server = Server(engine, ServerSettings(listen="127.0.0.1:0"))
        port = await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = LedgerServiceStub(channel)
            gate.shut()
            running = asyncio.ensure_future(stub.Authorize(authorize("running")))
            await gate.is_reached()

            late = [stub.Authorize(authorize(f"r-{n}"), timeout=0.3) for n in range(3)]
            with pytest.raises(grpc.aio.AioRpcError) as deadline:
                await late[0]
            assert deadline.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await asyncio.gather(*late, return_exceptions=True)
            with pytest.raises(grpc.aio.AioRpcError) as overload:
                await stub.Authorize(authorize("one too many"), timeout=20)
            refusal = read_refusal(overload.value)
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "OVERLOADED",
            )
            assert refusal.retry_us

            async with asyncio.timeout(20):  # the server has a clock of its own
                for _ in late:
                    await gone.acquire()
            gate.open()
            await running
            await stub.Authorize(authorize("last"), timeout=20)
        await server.stop(5)
    assert ledger.states() == {HELD: 2}
    assert ledger.findings() == []


def authorize(request_id: str) -> ledger_pb2.AuthorizeRequest:
    return ledger_pb2.AuthorizeRequest(
        account_id=ACCOUNT, method="GET", path="/v1/leads", request_id=request_id
    )


def telling_who_went(
    engine: Engine, gone: asyncio.Semaphore
) -> Callable[[Authorize], Awaitable[Authorized | Denied]]:
    """Release `gone` for every call that is cancelled while it waits."""
    carry_out = engine.authorize

    async def authorize(command: Authorize) -> Authorized | Denied:
        try:
            return await carry_out(command)
        except asyncio.CancelledError:
            gone.release()
            raise

    return authorize
