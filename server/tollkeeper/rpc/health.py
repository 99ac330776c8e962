"""grpc.health.v1: SERVING until the server begins to stop, then NOT_SERVING for good; NOT_SERVING while it is hindered.

Where others serve the same port on, it stays SERVING: who asks may reach any of them, and asks for all.

A Watch ends when the server stops, so that no watcher holds the stop up.
"""

# ruff: noqa: N802 - the proto names the methods

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from tollkeeper.rpc.calls import CallTracker

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """The health of all services, which is one: they serve and stop together."""

    def __init__(
        self, services: Iterable[str], others_serve: Callable[[], bool], calls: CallTracker
    ) -> None:
        self._services = {"", *services}
        self._others_serve = others_serve
        self._calls = calls
        self._leaving = False
        self._hindered = False
        self._changed = asyncio.Event()
        """Set, and replaced by another, when the state may be another."""
        self._over = False

    def leave(self) -> None:
        """Say NOT_SERVING from now on, unless others serve."""
        self._leaving = True
        self._tell()

    def hinder(self, *, hindered: bool) -> None:
        """Say NOT_SERVING as long as calls cannot be served here, whether others serve or not."""
        if hindered != self._hindered:
            self._hindered = hindered
            self._tell()

    def end(self) -> None:
        """End every Watch."""
        self._over = True
        self._tell()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Say how a service is."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        if self._calls.closing:
            await self._calls.late()
        return self._state(request.service)

    async def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Say how a service is, now and when that changes."""
        told = None
        while True:
            changed, over = self._changed, self._over
            if (state := self._state(request.service)) != told:
                told = state
                yield state
            if over:
                return
            await changed.wait()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _state(self, service: str) -> health_pb2.HealthCheckResponse:
        if service not in self._services:
            return _Response(status=_Response.SERVICE_UNKNOWN)
        if self._hindered or (self._leaving and not self._others_serve()):
            return _Response(status=_Response.NOT_SERVING)
        return _Response(status=_Response.SERVING)
