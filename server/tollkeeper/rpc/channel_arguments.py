"""What the server tells gRPC's C core about its connections.

The core ignores what it does not know, so a test looks each name up in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.rpc.settings import ServerSettings


_PENDING_MAX = 1_000_000


def server_arguments(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return the channel arguments of the server."""
    return [
        *_ends(settings),
        # gRPC would share by default: a second server would take half the calls unnoticed.
        ("grpc.so_reuseport", int(settings.share_port)),
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        # By default gRPC refuses calls at random from half of its bound on.
        ("grpc.max_metadata_size", settings.metadata_bytes_max),
        ("grpc.absolute_max_metadata_size", settings.metadata_bytes_max),
        ("grpc.max_concurrent_streams", settings.streams_max),
        # What waits to be handed to us. Beyond its own bounds of 1,000 and 3,000 the core tells callers CANCELLED.
        ("grpc.server.max_pending_requests", _PENDING_MAX),
        ("grpc.server.max_pending_requests_hard_limit", _PENDING_MAX),
        # Less than what is promised: pings arrive unevenly, and three that come too early end the connection.
        ("grpc.http2.min_ping_interval_without_data_ms", int(settings.ping_every_s * 800)),
        ("grpc.keepalive_permit_without_calls", 1),
        # A connection that never says a word of HTTP/2 would hold up the stop.
        ("grpc.server_handshake_timeout_ms", 5_000),
        # A peer that is gone without a word is let go, by default within about a minute and a half.
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_s)),
        ("grpc.keepalive_timeout_ms", _ms(settings.keepalive_timeout_s)),
    ]


def _ends(settings: ServerSettings) -> Iterator[tuple[str, int]]:
    """Yield the arguments that end connections: each is left out where it is not asked for."""
    if settings.connection_age_s:
        yield "grpc.max_connection_age_ms", _ms(settings.connection_age_s)
        yield "grpc.max_connection_age_grace_ms", _ms(settings.connection_grace_s)
    if settings.connection_idle_s:
        yield "grpc.max_connection_idle_ms", _ms(settings.connection_idle_s)


def _ms(seconds: float) -> int:
    return int(seconds * 1_000)
