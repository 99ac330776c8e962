"""The settings of the gRPC server."""

from __future__ import annotations

from dataclasses import dataclass

from tollkeeper.certificates import TlsFiles
from tollkeeper.core import defaults
from tollkeeper.rpc.calls import WATCHERS_MAX


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server can be told. `share_port`: several processes may listen on the address."""

    listen: str = "127.0.0.1:50051"
    """As `listening.parse_listen` reads it."""
    share_port: bool = False
    count_clients: bool = False
    """Whether calls are counted by the library that made them, for metrics."""
    tls: TlsFiles | None = None
    """What every port speaks TLS with; None: plain text."""
    plain_http: bool = False
    """Whether webhooks may be http:// to receivers that are not on this machine."""
    message_bytes_max: int = defaults.MESSAGE_BYTES_MAX
    metadata_bytes_max: int = defaults.METADATA_BYTES_MAX
    """Of one call, as HTTP/2 counts them: each name and value, and 32 for each pair. The transport refuses more."""
    streams_max: int = defaults.STREAMS_MAX
    """Calls in flight on one connection. Load is shed by the engine's queue, which has a bound."""
    watchers_max: int = WATCHERS_MAX
    """Who may watch events at once. Each costs a read where there is something new, and no memory of its own."""
    ping_every_s: float = defaults.KEEPALIVE_CLIENT_S
    """Clients may ask as often whether the connection is alive, also while nothing is called."""
    keepalive_s: float = defaults.KEEPALIVE_S
    """After so much quiet the server asks the same."""
    keepalive_timeout_s: float = defaults.KEEPALIVE_TIMEOUT_S
    connection_age_s: float = 0
    """A connection that is older, more or less a tenth, takes no new calls. 0: it may get as old as it does."""
    connection_grace_s: float = defaults.CONNECTION_GRACE_S
    """For how long calls on a connection that is too old are waited for; then it is closed."""
    connection_idle_s: float = 0
    """A connection that has had no call for so long is closed. 0: it is not."""
    channelz: bool = False
