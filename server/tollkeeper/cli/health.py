"""`python -m tollkeeper.cli.health [ADDRESS]`: exit code 0 where a server says that it is serving, on every address.

For a container's health check: no output where all is well, an answer within three seconds for each address. Over TLS
as the variables of clients say, else with the certificate of TOLLKEEPER_TLS_CERT, which is the server's own.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tollkeeper.cli.client_tls import ClientTls, tls_of_environment
from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.server_address import DEFAULT_SERVER, SERVER_VARIABLE
from tollkeeper.listening import Address, UnixAddress, parse_listen

LISTEN_VARIABLE = "TOLLKEEPER_LISTEN"
TIMEOUT_S = 3.0


def main(arguments: list[str]) -> int:
    """Ask the server at the address given, at TOLLKEEPER_SERVER, where TOLLKEEPER_LISTEN says, or at the default."""
    given = arguments[0] if arguments else os.environ.get(SERVER_VARIABLE)
    addresses = given or os.environ.get(LISTEN_VARIABLE) or DEFAULT_SERVER
    try:
        listed = parse_listen(addresses)
    except ValueError as error:
        sys.stderr.write(f"{addresses}: it {error}\n")
        return 1
    try:
        tls = tls_of_environment()
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return max(_check(each, None if isinstance(each, UnixAddress) else tls) for each in listed)


def _check(address: Address, tls: ClientTls | None) -> int:
    # Every interface is also this machine's own.
    here = address if str(address)[0] != ":" else f"127.0.0.1{address}"
    status = _ask(str(here), tls)
    if status == health_pb2.HealthCheckResponse.SERVING:
        return 0
    name = (
        "NO ANSWER" if status is None else health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    )
    sys.stderr.write(f"{address}: {name}\n")
    return 1


def _ask(
    address: str, tls: ClientTls | None
) -> health_pb2.HealthCheckResponse.ServingStatus | None:
    options = (("grpc.enable_http_proxy", 0),)
    try:
        with (
            grpc.insecure_channel(address, options=options)
            if tls is None
            else grpc.secure_channel(address, tls.credentials(), (*options, *tls.options()))
        ) as channel:
            stub = cast("Any", health_pb2_grpc).HealthStub(channel)
            return stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status
    except grpc.RpcError:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
