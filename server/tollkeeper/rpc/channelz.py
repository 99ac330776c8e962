"""grpc.channelz.v1: what gRPC's core counts of each connection, for those who can reach the port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from grpc_channelz.v1 import channelz, channelz_pb2

if TYPE_CHECKING:
    import grpc.aio

_FILE: Any = cast("Any", channelz_pb2).DESCRIPTOR
SERVICE_NAME: str = _FILE.services_by_name["Channelz"].full_name


def add_channelz(server: grpc.aio.Server) -> None:
    """Let the server answer for channelz. It is read from the core in the moment of the call."""
    cast("Any", channelz).add_channelz_servicer(server)
