"""The raw echo of `echo_server.py` behind the transport `native`: what that transport alone can do on this machine."""

from __future__ import annotations

import uvloop

from tests.bench.echo_server import Echo
from tollkeeper.rpc.server import ServerSettings
from tollkeeper.rpc.transport import transport_server
from tollkeeper.v1 import ledger_pb2_grpc


async def serve() -> None:
    """Serve on a free port, printed, until the process is ended."""
    server = transport_server(ServerSettings(transport="native"))
    ledger_pb2_grpc.add_LedgerServiceServicer_to_server(Echo(), server)  # pyright: ignore[reportAbstractUsage] - one method is enough
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve())
