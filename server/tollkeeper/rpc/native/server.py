"""The server of the transport `native`: its port, its methods, its connections, and their end.

It stands where grpc.aio's server stands, with the part of its interface that we use.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from tollkeeper.rpc.native.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable

_GOODBYE_WITHIN_S = 1.5
_BACKLOG = 1_024


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a generic handler is asked with."""

    method: str
    invocation_metadata: tuple[()] = ()


class NativeServer(grpc.aio.Server):
    """Serves handlers of grpc.aio's form on the event loop that `start` runs on."""

    def __init__(self, *, message_bytes_max: int, streams_max: int, share_port: bool) -> None:
        self._share_port = share_port
        self._generic: list[grpc.GenericRpcHandler] = []
        self._methods: dict[bytes, grpc.RpcMethodHandler[Any, Any]] = {}
        self._sockets: list[socket.socket] = []
        self._listening: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self.message_bytes_max = message_bytes_max
        self.streams_max = streams_max
        self.closing = False

    # --- grpc.aio.Server ---

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]
    ) -> None:
        """Take the methods of a service."""
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: object) -> None:
        """Leave the same methods, which generated code adds in this form too."""

    def add_insecure_port(self, address: str) -> int:
        """Bind the address; return the port. Raises RuntimeError where it cannot be had."""
        host, _, text = address.rpartition(":")
        port = int(text)
        try:
            found = socket.getaddrinfo(
                host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, _kind, _protocol, _name, place in dict.fromkeys(found):
                bound = self._bound(family, (place[0], port, *place[2:]))
                if bound is not None:
                    self._sockets.append(bound)
                    # The others on the port that the first has got.
                    port = bound.getsockname()[1]
        except OSError as error:
            self._give_back()
            raise RuntimeError(f"{address} cannot be bound") from error
        if not self._sockets:
            raise RuntimeError(f"{address} is not of this machine")
        return port

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> NoReturn:
        """Raise; there is no TLS here."""
        raise NotImplementedError("this transport has no TLS")

    async def start(self) -> None:
        """Listen and answer."""
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            listening = await loop.create_server(
                lambda: Connection(self), sock=each, backlog=_BACKLOG
            )
            self._listening.append(listening)

    async def stop(self, grace: float | None) -> None:
        """Close the port, let what runs end within `grace` seconds, refuse the rest, and say goodbye."""
        self.closing = True
        for each in self._listening:
            each.close()
        self._give_back()
        if grace and self._running:
            await asyncio.wait(tuple(self._running), timeout=grace)
        closed = [each.closed for each in self._connections]
        for each in tuple(self._connections):
            each.shut()
        if closed:
            await asyncio.wait(closed, timeout=_GOODBYE_WITHIN_S)
        await asyncio.gather(*self._running, return_exceptions=True)
        self._stopped.set()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - grpc.aio's
        """Wait until it has stopped; say whether it has not within `timeout`."""
        try:
            await asyncio.wait_for(self._stopped.wait(), timeout)
        except TimeoutError:
            return True
        return False

    # --- what connections ask for ---

    def handler_of(self, path: bytes) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return what answers a method, or None. Only what there is is remembered."""
        known = self._methods.get(path)
        if known is not None:
            return known
        asked: Any = _Asked(path.decode("latin-1"))
        for generic in self._generic:
            found = generic.service(asked)
            if found is not None:
                self._methods[path] = found
                return found
        return None

    def opened(self, connection: Connection) -> None:
        """Know a connection."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def started(self, task: asyncio.Task[None]) -> None:
        """Know a handler until it is done."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _give_back(self) -> None:
        for each in self._sockets:
            each.close()

    def _bound(self, family: int, place: tuple[Any, ...]) -> socket.socket | None:
        """Return a socket that listens; None where this machine has no such address, as ::1 without IPv6."""
        bound: socket.socket | None = None
        try:
            bound = socket.socket(family, socket.SOCK_STREAM)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._share_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.setblocking(False)  # noqa: FBT003 - positional by nature
            bound.bind(place)
            # Now, and not when it starts: only then is the port ours.
            bound.listen(_BACKLOG)
        except OSError as error:
            if bound is not None:
                bound.close()
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                return None
            raise
        return bound
