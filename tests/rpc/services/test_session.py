"""Session: messages of operations on one stream, answered as they are done."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, call, open_account, request
from tests.rpc.wire import read_refusal
from tests.support.waiting import until
from tollkeeper.engine.engine import Engine
from tollkeeper.rpc.calls import CallTracker
from tollkeeper.rpc.services import session as session_module
from tollkeeper.rpc.services.batching import OPERATIONS_MAX
from tollkeeper.rpc.services.session import Session
from tollkeeper.v1 import ledger_pb2


def message(sequence: int, *request_ids: str, **changes: Any) -> ledger_pb2.SessionRequest:
    return ledger_pb2.SessionRequest(
        sequence=sequence,
        operations=[
            ledger_pb2.Operation(authorize=request("Authorize", request_id=each, **changes))
            for each in request_ids
        ],
    )


def tracks(sequence: int, count: int) -> ledger_pb2.SessionRequest:
    names = [f"{sequence}-{number}" for number in range(count)]
    return message(sequence, *names, method="POST", path="/v1/track")


async def answer_of(stream: Any) -> ledger_pb2.SessionResponse:
    answer = await stream.read()
    assert isinstance(answer, ledger_pb2.SessionResponse)
    return answer


async def test_every_message_is_answered_under_its_number(server: Running) -> None:
    await open_account(server, credits=1_000)
    stream = server.ledger.Session()

    for sequence in range(7, 17):
        await stream.write(message(sequence, f"a-{sequence}", f"b-{sequence}"))
    await stream.done_writing()
    answers = {answer.sequence: answer.results async for answer in stream}

    assert sorted(answers) == list(range(7, 17))
    assert all(
        result.authorize.reservation.credits == 10 for found in answers.values() for result in found
    )
    balance = (await call(server, "GetAccount", account_id=ACCOUNT)).account.balance
    assert balance.held == 200


async def test_a_stream_stays_open_between_messages(server: Running) -> None:
    await open_account(server)
    stream = server.ledger.Session()

    await stream.write(message(1, "r-1"))
    held = await answer_of(stream)
    name = held.results[0].authorize.reservation.reservation_id
    await stream.write(
        ledger_pb2.SessionRequest(
            sequence=1,
            operations=[
                ledger_pb2.Operation(
                    commit=ledger_pb2.CommitRequest(reservation_id=name, http_status=200)
                ),
                ledger_pb2.Operation(),
            ],
        )
    )
    settled = await answer_of(stream)
    await stream.done_writing()

    assert settled.results[0].commit.credits == 10
    assert settled.results[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


async def test_a_message_that_is_too_long_ends_the_stream_after_what_came_before(
    server: Running,
) -> None:
    await open_account(server)
    stream = server.ledger.Session()

    await stream.write(message(1, "r-1"))
    await stream.write(
        ledger_pb2.SessionRequest(
            sequence=2, operations=[ledger_pb2.Operation()] * (OPERATIONS_MAX + 1)
        )
    )
    answer = await answer_of(stream)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await stream.read()

    assert answer.results[0].authorize.reservation.credits == 10
    assert read_refusal(ended.value).reason == "BATCH_TOO_LARGE"


async def test_a_caller_who_goes_leaves_nothing_running(server: Running) -> None:
    await open_account(server, credits=100_000)
    stream = server.ledger.Session()
    await stream.write(tracks(1, 3_000))

    stream.cancel()

    await until(lambda: not [each for each in asyncio.all_tasks() if "Session" in repr(each)])
    assert (await call(server, "Authorize", request_id="after")).HasField("reservation")


@asynccontextmanager
async def serving(engine: Engine, calls: CallTracker) -> AsyncGenerator[tuple[Any, list[int]]]:
    """A session without a wire: what is put is sent, and the list tells what was read of it."""
    sent: asyncio.Queue[ledger_pb2.SessionRequest] = asyncio.Queue()
    read: list[int] = []

    async def requests() -> AsyncIterator[ledger_pb2.SessionRequest]:
        while True:
            request = await sent.get()
            read.append(request.sequence)
            yield request

    session = Session(engine, calls, "").answers(requests())
    yield (sent, session), read
    await session.aclose()


async def test_no_more_is_read_than_there_is_room_for(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_account(server, credits=1_000)
    monkeypatch.setattr(session_module, "WINDOW", 25)
    async with serving(server.engine, CallTracker()) as ((sent, session), read):
        for sequence in range(6):
            sent.put_nowait(tracks(sequence, 10))

        first = await anext(session)
        await until(lambda: len(read) == 3)
        settled = (await call(server, "GetAccount", account_id=ACCOUNT)).account.balance

        # The third message is read, and waits: nothing of it has been carried out.
        assert settled.held == 20
        assert len(first.results) == 10

        rest = [await anext(session) for _ in range(5)]
        assert sorted(each.sequence for each in [first, *rest]) == list(range(6))


async def test_a_shutdown_answers_what_was_read_and_says_why_it_ends(server: Running) -> None:
    await open_account(server, credits=1_000)
    calls = CallTracker()
    async with serving(server.engine, calls) as ((sent, session), read):
        sent.put_nowait(tracks(1, 10))
        assert (await anext(session)).sequence == 1
        sent.put_nowait(tracks(2, 300))
        await until(lambda: read == [1, 2])

        calls.let_go()

        assert len((await anext(session)).results) == 300
        with pytest.raises(Exception, match="shutting down"):
            await anext(session)
