"""Batch: many operations in one message, each with the answer or the refusal that its own call would have had."""

from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from tests.rpc.conftest import Running
from tests.rpc.requests import call, hold, open_account, request
from tests.rpc.wire import Refusal, read_status, refusal_of
from tollkeeper.rpc.services.batching import OPERATIONS_MAX
from tollkeeper.v1 import ledger_pb2

CODES = {code.value[0]: code for code in grpc.StatusCode}


def authorize(request_id: str, **changes: Any) -> ledger_pb2.Operation:
    return ledger_pb2.Operation(authorize=request("Authorize", request_id=request_id, **changes))


def commit(reservation_id: str, **changes: Any) -> ledger_pb2.Operation:
    return ledger_pb2.Operation(commit=request("Commit", reservation_id=reservation_id, **changes))


def release(reservation_id: str) -> ledger_pb2.Operation:
    return ledger_pb2.Operation(release=request("Release", reservation_id=reservation_id))


async def batch(
    server: Running, *operations: ledger_pb2.Operation
) -> list[ledger_pb2.OperationResult]:
    answer = await server.ledger.Batch(ledger_pb2.BatchRequest(operations=operations))
    return list(answer.results)


def refusal_in(result: ledger_pb2.OperationResult) -> Refusal:
    assert result.WhichOneof("result") == "error"
    status: Status = result.error
    return read_status(CODES[status.code], status)


async def test_results_come_in_the_order_of_the_operations(server: Running) -> None:
    await open_account(server, credits=25)
    first, second = await hold(server, "h-1"), await hold(server, "h-2")

    results = await batch(
        server,
        commit(first),
        authorize("r-1", method="POST", path="/v1/track"),
        release(second),
        authorize("r-2"),
        authorize("r-3"),
    )

    assert [each.WhichOneof("result") for each in results] == [
        "commit",
        "authorize",
        "release",
        "authorize",
        "authorize",
    ]
    assert (results[0].commit.credits, results[0].commit.balance.settled) == (10, 15)
    assert results[1].authorize.reservation.credits == 1
    assert results[2].release.state == ledger_pb2.RESERVATION_STATE_RELEASED
    assert results[3].authorize.balance.available == 4
    assert results[4].authorize.denial.reason == ledger_pb2.DENIAL_REASON_INSUFFICIENT_CREDITS


async def test_each_operation_fails_alone_as_its_own_call_would(server: Running) -> None:
    await open_account(server)
    committed = await hold(server, "h-1")
    await call(server, "Commit", reservation_id=committed)
    bad = [
        ("Authorize", {"request_id": "r-1", "method": "get", "path": "no"}),
        ("Commit", {"reservation_id": committed, "http_status": 500}),
        ("Commit", {"reservation_id": "1-1"}),
        ("Release", {"reservation_id": committed}),
        ("Authorize", {"request_id": "h-1", "path": "/v1/leads/export"}),
    ]
    alone = [await refusal_of(call(server, method, **changes)) for method, changes in bad]

    results = await batch(
        server,
        *[
            ledger_pb2.Operation(**{method.lower(): request(method, **changes)})
            for method, changes in bad
        ],
        authorize("r-2"),
    )

    assert [refusal_in(each) for each in results[:-1]] == alone
    assert results[-1].authorize.reservation.credits == 10


async def test_an_operation_that_is_none_is_refused_and_its_neighbours_are_not(
    server: Running,
) -> None:
    await open_account(server)

    nothing, something = await batch(server, ledger_pb2.Operation(), authorize("r-1"))

    assert refusal_in(nothing).fields == ["operation"]
    assert something.authorize.reservation.credits == 10


async def test_operations_of_one_batch_share_what_the_account_has(server: Running) -> None:
    await open_account(server, credits=105)

    results = await batch(server, *[authorize(f"r-{number}") for number in range(20)])

    granted = [each.authorize.HasField("reservation") for each in results]
    assert granted == [True] * 10 + [False] * 10


async def test_a_batch_that_is_sent_again_does_nothing_twice(server: Running) -> None:
    await open_account(server)
    operations = [authorize("r-1"), authorize("r-2"), authorize("r-1")]

    first = await batch(server, *operations)
    rows = server.rows()
    again = await batch(server, *operations)

    assert [each.authorize.replayed for each in first] == [False, False, True]
    assert all(each.authorize.replayed for each in again)
    assert server.rows() == rows


async def test_the_longest_batch_is_carried_out_and_a_longer_one_is_not(server: Running) -> None:
    await open_account(server, credits=OPERATIONS_MAX * 10)
    operations = [
        authorize(f"r-{number}", method="POST", path="/v1/track")
        for number in range(OPERATIONS_MAX + 1)
    ]

    refusal = await refusal_of(batch(server, *operations))
    results = await batch(server, *operations[:-1])

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "BATCH_TOO_LARGE",
    )
    assert refusal.metadata == {"operations": "10001", "most": "10000"}
    assert len(results) == OPERATIONS_MAX
    assert results[-1].authorize.balance.held == OPERATIONS_MAX


async def test_an_empty_batch_has_an_empty_answer(server: Running) -> None:
    assert await batch(server) == []


@pytest.mark.parametrize("credits", [0, 15])
async def test_a_batch_answers_what_the_calls_would_have_answered(
    server: Running, credits: int
) -> None:
    await open_account(server, credits=credits or 1)

    (denied_or_held,) = await batch(server, authorize("r-1", dry_run=True))
    alone = await call(server, "Authorize", request_id="r-1", dry_run=True)

    for each in (denied_or_held.authorize.reservation, alone.reservation):
        each.ClearField("create_time")
        each.ClearField("expire_time")
    assert denied_or_held.authorize == alone
