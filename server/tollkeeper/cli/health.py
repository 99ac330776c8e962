"""`python -m tollkeeper.cli.health [ADDRESS]`: exit code 0 where a server says that it is serving.

For a container's health check: no output where all is well, an answer within three seconds.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tollkeeper.cli.options import DEFAULT_SERVER, SERVER_VARIABLE

TIMEOUT_S = 3.0


def main(arguments: list[str]) -> int:
    """Ask the server at the address given, at TOLLKEEPER_SERVER, or at the default."""
    address = arguments[0] if arguments else os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER
    status = _ask(address)
    if status == health_pb2.HealthCheckResponse.SERVING:
        return 0
    name = (
        "NO ANSWER" if status is None else health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    )
    sys.stderr.write(f"{address}: {name}\n")
    return 1


def _ask(address: str) -> health_pb2.HealthCheckResponse.ServingStatus | None:
    options = (("grpc.enable_http_proxy", 0),)
    try:
        with grpc.insecure_channel(address, options=options) as channel:
            stub = cast("Any", health_pb2_grpc).HealthStub(channel)
            return stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status
    except grpc.RpcError:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
