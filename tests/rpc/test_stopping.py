"""What the callers of a server are told while it stops."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from tests.rpc.fakes import Served, serving
from tests.rpc.test_answering import AUTHORIZE, COMMIT, SETTLED
from tests.rpc.wire import read_refusal, refusal_of
from tests.support.waiting import until
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.rpc.server import SERVICES
from tollkeeper.v1 import ledger_pb2

CALLERS = 32
STOPS = 10
DRAIN_S = 30
SOON_S = 10
Status = health_pb2.HealthCheckResponse
ASK = health_pb2.HealthCheckRequest()


async def busy(served: Served, told: Counter[str]) -> None:
    """Call without a pause until there is no server any more; a refused caller repeats at once."""
    while True:
        try:
            await served.ledger.Commit(COMMIT, timeout=SOON_S)
            told["OK"] += 1
        except grpc.aio.AioRpcError as error:
            refusal = read_refusal(error)
            told[refusal.reason or refusal.code.name] += 1
            if refusal.reason != "SHUTTING_DOWN":
                return


async def test_of_callers_who_never_pause_nobody_is_told_cancelled() -> None:
    told = Counter[str]()
    for number in range(STOPS):
        async with serving(SETTLED) as served:
            callers = [asyncio.create_task(busy(served, told)) for _ in range(CALLERS)]
            enough = (number + 1) * CALLERS
            await until(lambda enough=enough: told["OK"] >= enough)

            await asyncio.wait_for(served.server.stop(DRAIN_S), SOON_S)
            await asyncio.gather(*callers)

    assert told.keys() == {"OK", "SHUTTING_DOWN", "UNAVAILABLE"}
    # Each has found that no server listens any more, once for each stop, and was refused at most once before.
    assert told["UNAVAILABLE"] == STOPS * CALLERS
    assert 0 < told["SHUTTING_DOWN"] <= STOPS * CALLERS


async def test_callers_who_do_not_wait_for_answers_do_not_hold_the_stop_up() -> None:
    async with serving(SETTLED) as served:
        calls: list[asyncio.Task[Any]] = []

        async def call_on() -> None:
            for _ in itertools.count():
                calls.append(asyncio.ensure_future(refusal_of(served.ledger.Commit(COMMIT))))
                await asyncio.sleep(0.01)

        await served.ledger.Commit(COMMIT)
        calling = asyncio.create_task(call_on())

        await asyncio.wait_for(served.server.stop(DRAIN_S), SOON_S)

        calling.cancel()
        refusals = await asyncio.gather(*calls[:50])
        assert {each.reason for each in refusals} == {"SHUTTING_DOWN"}
        await asyncio.gather(*calls, return_exceptions=True)


async def test_a_late_call_is_refused_and_not_carried_out_and_one_in_flight_is_answered() -> None:
    async with serving(SETTLED) as served:
        served.fake.free.clear()
        early = asyncio.ensure_future(served.ledger.Commit(COMMIT))
        await served.fake.arrived.wait()

        stopping = asyncio.create_task(served.server.stop(DRAIN_S))
        await asyncio.sleep(0)
        refusal = await refusal_of(served.ledger.Commit(COMMIT))
        served.fake.free.set()

        assert (await early).credits == 10
        await asyncio.wait_for(stopping, SOON_S)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert len(served.fake.asked) == 1


async def credits_or_reason(call: Awaitable[ledger_pb2.CommitResponse]) -> int | str:
    try:
        return (await call).credits
    except grpc.aio.AioRpcError as error:
        return read_refusal(error).reason


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (SETTLED, 10),
        (Refused(Reason.RESERVATION_EXPIRED, "reservation 1a-2b expired"), "RESERVATION_EXPIRED"),
    ],
    ids=["settled", "refused"],
)
async def test_an_answer_waits_until_callers_know_that_the_connection_is_over(
    answer: object, told: int | str
) -> None:
    async with serving(SETTLED) as served:
        served.fake.answer = answer
        served.fake.free.clear()
        early = asyncio.create_task(credits_or_reason(served.ledger.Commit(COMMIT)))
        await served.fake.arrived.wait()

        stopping = asyncio.create_task(served.server.stop(DRAIN_S))
        await asyncio.sleep(0)
        served.fake.free.set()
        done, _ = await asyncio.wait((early,), timeout=0.05)

        assert not done, "nothing leaves while calls may be on their way"
        assert await early == told
        await asyncio.wait_for(stopping, SOON_S)


async def test_a_late_caller_who_gives_up_holds_nothing_up() -> None:
    async with serving(SETTLED) as served:
        await served.ledger.Commit(COMMIT)
        stopping = asyncio.create_task(served.server.stop(DRAIN_S))
        await asyncio.sleep(0)

        refusal = await refusal_of(served.ledger.Commit(COMMIT, timeout=0.03))

        await asyncio.wait_for(stopping, SOON_S)
        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert served.server.counts().in_flight == 0


async def test_what_outlives_the_drain_is_told_that_its_outcome_is_open() -> None:
    async with serving(SETTLED) as served:
        served.fake.free.clear()
        unary = served.ledger.Authorize(AUTHORIZE)
        session = served.ledger.Session()
        await session.write(
            ledger_pb2.SessionRequest(sequence=1, operations=[ledger_pb2.Operation(commit=COMMIT)])
        )
        await until(lambda: len(served.fake.asked) == len(("unary", "session")))

        await asyncio.wait_for(served.server.stop(0.2), SOON_S)

        refusal = await refusal_of(unary)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await session.read()
        for each in (refusal, read_refusal(ended.value)):
            assert (each.code, each.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
            assert "a repeat with the same key tells" in each.message


async def test_a_server_that_leaves_says_so_and_serves_on_until_it_stops() -> None:
    async with serving(SETTLED) as served:
        watch = aiter(served.health.Watch(ASK))
        watched: list[Any] = [(await anext(watch)).status]

        served.server.leave()

        watched.append((await anext(watch)).status)
        assert (await served.health.Check(ASK)).status == Status.NOT_SERVING
        assert (await served.ledger.Commit(COMMIT)).credits == 10
        late = aiter(served.health.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0])))
        assert (await anext(late)).status == Status.NOT_SERVING
        await asyncio.wait_for(served.server.stop(DRAIN_S), SOON_S)
        watched += [each.status async for each in watch]

        assert watched == [Status.SERVING, Status.NOT_SERVING]
        assert [each async for each in late] == []
