"""The gRPC server: the services, health and reflection on one port.

It stops in order: health says NOT_SERVING; calls that come from now on wait until every client knows that its
connection is over, and are refused UNAVAILABLE then; those in flight are answered; and only what still runs after
`drain_s` is cut off, UNAVAILABLE too. No caller that waits for its answers gets CANCELLED (`calls.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tollkeeper.certificates import Certificates
from tollkeeper.engine.counts import Counts
from tollkeeper.listening import TcpAddress, parse_listen
from tollkeeper.rpc.answering import Answering
from tollkeeper.rpc.calls import CallTracker
from tollkeeper.rpc.channel_arguments import server_arguments
from tollkeeper.rpc.client_versions import ClientVersions
from tollkeeper.rpc.health import Health
from tollkeeper.rpc.listeners import Listeners
from tollkeeper.rpc.reflection import add_reflection
from tollkeeper.rpc.services.admin import AdminService
from tollkeeper.rpc.services.ledger import LedgerService
from tollkeeper.rpc.services.webhooks import WebhookService
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    webhooks_pb2,
    webhooks_pb2_grpc,
)
from tollkeeper.worker import ALONE, LeaveTurn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.engine.engine import Engine

SERVICES = (
    ledger_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name,
    admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
    webhooks_pb2.DESCRIPTOR.services_by_name["WebhookService"].full_name,
)
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


QUIET_WITHIN_S = 1.0
"""How long calls may wait at a stop for others to come no more."""
FLUSH_S = 0.5
"""How long what was answered may be on its way to a client when nothing else is left."""

_TURN_TICK_S = 0.01


class Server:
    """Serves an engine, which must have been started, on the event loop that `start` runs on.

    `others_serve` says, while this one stops, whether other processes serve its port on. `turn` is shared with the
    servers of its port that may stop together with it.
    """

    def __init__(
        self,
        engine: Engine,
        settings: ServerSettings | None = None,
        *,
        others_serve: Callable[[], bool] = lambda: False,
        turn: LeaveTurn = ALONE,
    ) -> None:
        self._engine = engine
        self._settings = settings or ServerSettings()
        clients = ClientVersions() if self._settings.count_clients else None
        self._calls = CallTracker(self._settings.watchers_max, clients)
        self._health = Health(SERVICES, others_serve, self._calls)
        self._listeners = Listeners()
        self._turn = turn
        self._server: grpc.aio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen and answer; return the port of the first address, 0 for a file.

        Raises ListenError, and TlsFilesError where there is to be TLS and its files cannot be used.
        """
        certificates = await self._certificates()
        server = grpc.aio.server(options=server_arguments(self._settings))
        answering = cast("grpc.aio.Server", Answering(server, self._calls))
        ledger = LedgerService(self._engine, self._calls)
        ledger_pb2_grpc.add_LedgerServiceServicer_to_server(ledger, answering)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminService(self._engine), answering)
        webhooks_pb2_grpc.add_WebhookServiceServicer_to_server(
            WebhookService(self._engine.webhooks, plain_http=self._settings.plain_http), answering
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)  # pyright: ignore[reportUnknownMemberType] -- untyped
        shown = (*SERVICES, _HEALTH)
        if self._settings.channelz:
            from tollkeeper.rpc.channelz import SERVICE_NAME, add_channelz  # noqa: PLC0415 - loaded where asked for

            add_channelz(server)
            shown = (*shown, SERVICE_NAME)
        add_reflection(shown, server)
        self._listeners.open(server, parse_listen(self._settings.listen), certificates)
        await server.start()
        self._server = server
        if certificates is not None:
            self._watching = asyncio.create_task(certificates.watch())
        first = self._listeners.addresses[0]
        return first.port if isinstance(first, TcpAddress) else 0

    async def _certificates(self) -> Certificates | None:
        """Read the TLS files, where there are."""
        files = self._settings.tls
        return None if files is None else await asyncio.to_thread(Certificates, files)

    @property
    def address(self) -> str:
        """Return where it listens, with the ports that were found; commas stand between several."""
        return ",".join(map(str, self._listeners.addresses))

    def counts(self) -> Counts:
        """Return what was called so far and is in flight, what the lanes have done, and what waits in the ledger."""
        observed = self._engine.observed
        return Counts(
            calls=self._calls.counted(),
            in_flight=self._calls.in_flight,
            watchers=self._calls.watchers,
            clients=self._calls.clients.counted() if self._calls.clients else {},
            lanes=self._engine.lane_counts(),
            work=observed.work,
            backlog=observed.backlog,
            mover_lag_s=observed.mover_lag_s,
        )

    def leave(self) -> None:
        """Say NOT_SERVING from now on, and serve on."""
        self._health.leave()

    def hinder(self, *, hindered: bool) -> None:
        """Let health say NOT_SERVING as long as calls cannot be served for a reason that an operator must see to."""
        self._health.hinder(hindered=hindered)

    async def stop(self, drain_s: float) -> None:
        """Stop as this file's first lines say, within `drain_s`."""
        self.leave()
        if self._server is not None:
            until_s = asyncio.get_running_loop().time() + drain_s
            self._calls.close()
            await self._take_turn(drain_s / 2)
            left_s = until_s - asyncio.get_running_loop().time()
            await self._calls.quiet(min(left_s / 2, QUIET_WITHIN_S))
            await self._end(self._server, until_s)

    async def _take_turn(self, within_s: float) -> None:
        """Wait until no other server of this port is about to let its callers go: they may come here next."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        while not self._turn.take() and loop.time() < until_s:  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(_TURN_TICK_S)

    async def _end(self, server: grpc.aio.Server, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        ending = loop.create_task(server.stop(until_s - loop.time() + FLUSH_S))
        # In its first turn the task tells gRPC, and gRPC every client: that goes before whatever is sent from here on.
        await asyncio.sleep(0)
        self._calls.let_go()
        self._turn.release()
        self._health.end()
        await self._calls.finished(until_s - loop.time())
        self._calls.cut_off()
        # What is left are watchers who do not take even the news that it is over.
        await server.stop(FLUSH_S)
        await ending
        if self._watching is not None:
            self._watching.cancel()
        self._listeners.remove_files()
