"""The settings of the gRPC server."""

from __future__ import annotations

from dataclasses import dataclass

from tollkeeper.certificates import TlsFiles
from tollkeeper.rpc.calls import WATCHERS_MAX


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server can be told. `share_port`: several processes may listen on the address."""

    listen: str = "127.0.0.1:50051"
    """As `listening.parse_listen` reads it."""
    share_port: bool = False
    tls: TlsFiles | None = None
    """What every port speaks TLS with; None: plain text."""
    plain_http: bool = False
    """Whether webhooks may be http:// to receivers that are not on this machine."""
    message_bytes_max: int = 32 * 1024 * 1024
    """Room for every valid batch: 10,000 operations, each with the longest id, path and key."""
    metadata_bytes_max: int = 16 * 1024
    """Of one call, as HTTP/2 counts them: each name and value, and 32 for each pair. The transport refuses more."""
    streams_max: int = 10_000
    """Calls in flight on one connection. Load is shed by the engine's queue, which has a bound."""
    watchers_max: int = WATCHERS_MAX
    """Who may watch events at once. Each costs a read where there is something new, and no memory of its own."""
    ping_every_s: float = 5.0
    """Clients may ask as often whether the connection is alive, also while nothing is called."""
