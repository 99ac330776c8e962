"""The one connection of a client, made at its first call.

grpc's blocking API is used without blocking: it calls back from a thread of its own. grpc.aio would tie the
connection to one event loop, and two event loops of one process into each other.
"""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.rpc.status_pb2 import Status

from tollkeeper_client.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., grpc.Future[Any]]

_SERVICE = "/tollkeeper.v1.LedgerService"
_DETAILS = "grpc-status-details-bin"
_OPTIONS = [
    # Clients of one process would share a connection, and one's big batch hold up another's.
    ("grpc.use_local_subchannel_pool", 1),
    # An overview may be long, and the ledger is trusted.
    ("grpc.max_receive_message_length", -1),
    # A peer that is gone without a word is noticed, also in the middle of a call.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A server that is back is found within a second; gRPC would let the pauses grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


def tls(
    ca: str | PathLike[str] | None = None,
    *,
    cert: str | PathLike[str] | None = None,
    key: str | PathLike[str] | None = None,
) -> grpc.ChannelCredentials:
    """Return credentials for a client: `Client(target, credentials=tls("ca.crt"))`. Files are PEM, and read now.

    `ca`: the authorities that are trusted; those that grpc brings where none is given.
    `cert` and `key`: what the client shows to a server that wants a certificate. Raises OSError, and ValueError where
    only one of them is given.
    """
    if (cert is None) != (key is None):
        raise ValueError("cert and key must be given together")
    files = (None if each is None else Path(each).read_bytes() for each in (ca, key, cert))
    return grpc.ssl_channel_credentials(*files)


class Connection:
    """Starts calls. Their `done` is called once, from any thread."""

    def __init__(
        self, target: str, credentials: grpc.ChannelCredentials | None, caller: str
    ) -> None:
        if credentials is None:
            self._channel = grpc.insecure_channel(target, _OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials, _OPTIONS)
        self._metadata = (("tollkeeper-caller", caller),)
        self.batch = self._method("Batch", pb.BatchResponse)
        self.overview = self._method("GetOverview", pb.GetOverviewResponse)

    def close(self) -> None:
        """Close; what is under way is cancelled."""
        self._channel.close()

    def _method(self, name: str, response: Any) -> Start:  # noqa: ANN401 - any message's class
        channel = cast("Any", self._channel)  # its types are those of generated stubs
        method = channel.unary_unary(f"{_SERVICE}/{name}", None, response.FromString)
        return partial(method.future, metadata=self._metadata)


def status_of(call: grpc.Future[Any]) -> Status | None:
    """Return the status of a call that is done; None for OK."""
    ended = cast("grpc.Call", call)
    code = ended.code()
    if code is grpc.StatusCode.OK:
        return None
    for key, value in ended.trailing_metadata() or ():
        if key == _DETAILS:
            return Status.FromString(cast("bytes", value))
    return Status(code=code.value[0], message=ended.details() or "")
