"""Extend over gRPC: alone, in a Batch and in a Session, with one answer and one refusal."""

from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from tests.rpc.conftest import Running
from tests.rpc.requests import call, hold, open_account, request
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import ledger_pb2

HOUR_S = 3_600


def extend(reservation_id: str, **changes: Any) -> ledger_pb2.Operation:
    return ledger_pb2.Operation(extend=request("Extend", reservation_id=reservation_id, **changes))


def commit(reservation_id: str) -> ledger_pb2.Operation:
    return ledger_pb2.Operation(commit=request("Commit", reservation_id=reservation_id))


def reason_in(result: ledger_pb2.OperationResult) -> str:
    info = next(each for each in result.error.details if "ErrorInfo" in each.type_url)
    return info.value.decode(errors="replace")


async def test_it_answers_with_the_new_deadline_and_the_balance(server: Running) -> None:
    await open_account(server)
    authorized = (await call(server, "Authorize")).reservation

    longer = await call(
        server,
        "Extend",
        reservation_id=authorized.reservation_id,
        hold=Duration(seconds=HOUR_S, nanos=5_999),
    )
    default = await call(server, "Extend", reservation_id=authorized.reservation_id, hold=None)
    again = (await call(server, "Authorize")).reservation

    created_us = authorized.create_time.ToMicroseconds()
    lasts_us = longer.expire_time.ToMicroseconds() - created_us
    assert HOUR_S * 1_000_000 + 5 <= lasts_us < (HOUR_S + 60) * 1_000_000
    assert (longer.balance.held, longer.balance.available) == (10, 90)
    assert default.expire_time == again.expire_time == longer.expire_time
    assert again.create_time == authorized.create_time


async def test_what_has_ended_is_refused_with_its_state(server: Running) -> None:
    await open_account(server)
    committed, released = await hold(server, "h-1"), await hold(server, "h-2")
    await call(server, "Commit", reservation_id=committed)
    await call(server, "Release", reservation_id=released)
    before = server.rows()

    refusals = [
        await refusal_of(call(server, "Extend", reservation_id=each))
        for each in (committed, released)
    ]

    assert {each.code for each in refusals} == {grpc.StatusCode.FAILED_PRECONDITION}
    assert [(each.reason, each.metadata["state"]) for each in refusals] == [
        ("ALREADY_COMMITTED", "COMMITTED"),
        ("ALREADY_RELEASED", "RELEASED"),
    ]
    assert server.rows() == before


async def test_in_a_batch_its_results_are_in_order_and_its_errors_its_own(server: Running) -> None:
    await open_account(server)
    first, second = await hold(server, "h-1"), await hold(server, "h-2")
    operations = [
        extend(first),
        commit(second),
        extend(second),
        extend("1-1"),
        extend(first, hold=Duration()),
        extend(first, hold=None),
        commit(first),
    ]

    answer = await server.ledger.Batch(ledger_pb2.BatchRequest(operations=operations))

    found = answer.results
    assert [each.WhichOneof("result") for each in found] == [
        *("extend", "commit", "error", "error", "error", "extend", "commit")
    ]
    assert found[0].extend.expire_time == found[5].extend.expire_time
    assert found[0].extend.balance.held == 20
    assert found[6].commit.credits == 10
    reasons = [reason_in(each) for each in found if each.HasField("error")]
    assert ["ALREADY_COMMITTED" in reasons[0], "RESERVATION_NOT_FOUND" in reasons[1]] == [True] * 2
    assert "INVALID_FIELD" in reasons[2]


async def test_in_a_session_it_is_answered_under_its_number(server: Running) -> None:
    await open_account(server)
    name = await hold(server)
    stream = server.ledger.Session()

    await stream.write(ledger_pb2.SessionRequest(sequence=7, operations=[extend(name)]))
    answer = await stream.read()
    await stream.done_writing()

    assert isinstance(answer, ledger_pb2.SessionResponse)
    assert (answer.sequence, len(answer.results)) == (7, 1)
    assert answer.results[0].extend.expire_time.seconds > 0
    assert answer.results[0].extend.balance.held == 10
