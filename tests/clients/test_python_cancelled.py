"""A call that the client did not cancel and that ends CANCELLED: its outcome is open, and it is repeated."""

from typing import Any, cast

import grpc
import grpc.aio

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


async def test_it_is_repeated_with_the_same_key_until_it_is_answered() -> None:
    servicer = Cancelling(turns=3)
    heard: list[LedgerError] = []
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
    async with AsyncClient(f"127.0.0.1:{port}", on_repeat=heard.append) as client:
        answer = await client.authorize("acme", "GET", "/", request_id="r-1", timeout=PATIENT_S)
    await server.stop(0)

    assert isinstance(answer, Denied)
    assert servicer.keys == ["r-1"] * 4
    # A caller whose time is over is told the same.
    assert [(each.code, each.key, each.transient) for each in heard] == [
        (grpc.StatusCode.CANCELLED, "r-1", True)
    ] * 3
