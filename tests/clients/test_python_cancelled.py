"""A call that the client did not cancel and that ends CANCELLED: its outcome is open, and it is repeated."""

from typing import Any, cast

import grpc
import grpc.aio
import pytest

from tollkeeper.v1 import ledger_pb2
from tollkeeper_client import AsyncClient, Denied, LedgerError

PATIENT_S = 30.0


class Cancelling:
    """Cancels the first `turns` batches, then denies what it is asked; remembers the keys."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.keys: list[str] = []

    async def batch(
        self, request: ledger_pb2.BatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> ledger_pb2.BatchResponse:
        self.keys += [each.authorize.request_id for each in request.operations]
        if len(self.keys) <= self.turns:
            await context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")
        denial = ledger_pb2.Denial(reason=ledger_pb2.DENIAL_REASON_ACCOUNT_BLOCKED, http_status=403)
        answer = ledger_pb2.AuthorizeResponse(denial=denial)
        return ledger_pb2.BatchResponse(results=[ledger_pb2.OperationResult(authorize=answer)])


async def asked(servicer: Cancelling, timeout_s: float) -> Any:
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        cast("Any", servicer.batch),
        ledger_pb2.BatchRequest.FromString,
        ledger_pb2.BatchResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tollkeeper.v1.LedgerService", {"Batch": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with AsyncClient(f"127.0.0.1:{port}") as client:
            return await client.authorize("acme", "GET", "/", request_id="r-1", timeout=timeout_s)
    finally:
        await server.stop(0)


async def test_it_is_repeated_with_the_same_key_until_it_is_answered() -> None:
    servicer = Cancelling(turns=3)

    answer = await asked(servicer, PATIENT_S)

    assert isinstance(answer, Denied)
    assert servicer.keys == ["r-1"] * 4


async def test_where_the_time_is_over_the_caller_is_told_so_with_the_key() -> None:
    with pytest.raises(LedgerError) as told:
        await asked(Cancelling(turns=1_000), 0.3)

    assert (told.value.code, told.value.key) == (grpc.StatusCode.CANCELLED, "r-1")
    assert told.value.transient
