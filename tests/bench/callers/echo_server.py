"""A raw grpc.aio server that answers Authorize at once: what the transport alone can do on this machine.

It decodes the request, reads its fields and builds an answer of the usual size, as the real server must. With
`--uvloop` it runs on the event loop that Tollkeeper runs on, else on Python's own.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop

from tollkeeper.v1 import ledger_pb2, ledger_pb2_grpc


class Echo(ledger_pb2_grpc.LedgerServiceServicer):
    """Authorizes everything and remembers nothing."""

    async def Authorize(  # noqa: N802 - the name in the proto
        self,
        request: ledger_pb2.AuthorizeRequest,
        context: grpc.aio.ServicerContext[
            ledger_pb2.AuthorizeRequest, ledger_pb2.AuthorizeResponse
        ],
    ) -> ledger_pb2.AuthorizeResponse:
        """Answer with a reservation made of the request."""
        return ledger_pb2.AuthorizeResponse(
            reservation=ledger_pb2.Reservation(
                reservation_id=request.request_id,
                credits=len(request.account_id) + len(request.method) + len(request.path),
                price_version=1,
                state=ledger_pb2.RESERVATION_STATE_HELD,
            ),
            balance=ledger_pb2.Balance(available=10**12, settled=10**12, held=10),
        )


async def serve() -> None:
    """Serve on a free port, printed, until the process is ended."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    ledger_pb2_grpc.add_LedgerServiceServicer_to_server(Echo(), server)  # pyright: ignore[reportAbstractUsage] - one method is enough
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    run = uvloop.run if "--uvloop" in sys.argv else asyncio.run
    run(serve())
