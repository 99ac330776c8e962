"""The HTTP address of metrics and health: `/metrics`, `/livez`, `/readyz` and `/healthz`, for all who reach it.

No page asks the database: a page says how long ago the lanes had an answer, which ask all the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from tollkeeper.monitoring.address import EndpointError
from tollkeeper.monitoring.pages import health_page, metrics_page, readiness_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tollkeeper.monitoring.view import ServiceView

    Look = Callable[[], Awaitable[ServiceView]]

METRICS = "/metrics"
HEALTH = "/healthz"
LIVE = "/livez"
READY = "/readyz"

_END_S = 1.0
"""How long a page that is on its way may hold the end up."""


class Endpoint:
    """Answers with what `look` sees at the time of each request."""

    def __init__(self, listen: str, look: Look) -> None:
        self._listen = listen
        self._look = look
        application = web.Application()
        application.router.add_get(METRICS, self._metrics)
        application.router.add_get(HEALTH, self._health)
        application.router.add_get(LIVE, self._live)
        application.router.add_get(READY, self._ready)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_END_S)

    async def start(self) -> str:
        """Listen; return HOST:PORT. Raises EndpointError."""
        await self._runner.setup()
        host, _, port = self._listen.rpartition(":")
        site = web.TCPSite(self._runner, host.strip("[]"), int(port))
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            reason = "another process does, or the address is not one of this machine"
            raise EndpointError(f"cannot listen on {self._listen} for metrics: {reason}") from error
        return f"{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the address."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        page = metrics_page(await self._look())
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, request: web.Request) -> web.Response:
        del request
        view = await self._look()
        status = 200 if view.serves else 503
        return web.Response(text=health_page(view), status=status, content_type="application/json")

    async def _live(self, request: web.Request) -> web.Response:
        """Answer at once: that there is an answer is the news."""
        del request
        return web.Response(text='{"live": true}\n', content_type="application/json")

    async def _ready(self, request: web.Request) -> web.Response:
        del request
        view = await self._look()
        status = 200 if view.is_ready else 503
        page = readiness_page(view)
        return web.Response(text=page, status=status, content_type="application/json")
