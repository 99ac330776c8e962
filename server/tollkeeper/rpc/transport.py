"""What carries the calls: gRPC's own C core, or our `native` server on h2. The servicers do not know which.

Both take handlers of grpc.aio's form, so that all above this file is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import grpc.aio

if TYPE_CHECKING:
    from tollkeeper.rpc.server import ServerSettings

Transport: TypeAlias = Literal["grpcio", "native"]

NATIVE_STREAMS_MAX = 1_000
"""Calls in flight on one connection of the native transport: to h2, a new one costs a look at each."""


def transport_server(settings: ServerSettings) -> grpc.aio.Server:
    """Return a server that has neither methods nor a port yet."""
    if settings.transport == "grpcio":
        return grpc.aio.server(options=_options(settings))
    # An extra, which need not be there.
    from tollkeeper.rpc.native.server import NativeServer  # noqa: PLC0415

    return NativeServer(
        message_bytes_max=settings.message_bytes_max,
        streams_max=min(settings.streams_max, NATIVE_STREAMS_MAX),
        share_port=settings.share_port,
    )


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        # gRPC would share by default: a second server would take half the calls unnoticed.
        ("grpc.so_reuseport", int(settings.share_port)),
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        # By itself gRPC refuses a part of the calls, by chance, from half of its bound on.
        ("grpc.max_metadata_size", settings.metadata_bytes_max),
        ("grpc.absolute_max_metadata_size", settings.metadata_bytes_max),
        ("grpc.max_concurrent_streams", settings.streams_max),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", settings.ping_interval_min_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        # A connection that never says a word of HTTP/2 would hold up the stop.
        ("grpc.server_handshake_timeout_ms", 5_000),
        # A peer that is gone without a word is let go within about a minute and a half.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
