"""The HTTP address of metrics and health: `/metrics`, `/livez`, `/readyz` and `/healthz`, for all who reach it.

No page asks the database: a page says how long ago the lanes had an answer, which ask all the time. Over TLS where the
server has a certificate: the same one, without a certificate of the client.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from tollkeeper.certificates import Certificates, TlsFiles
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

log = logging.getLogger(__name__)

_END_S = 1.0
"""How long a page that is on its way may hold the end up."""


class Endpoint:
    """Answers with what `look` sees at the time of each request.

    `tells`: whether changes and faults of the TLS files are logged here.
    """

    def __init__(
        self, listen: str, look: Look, tls: TlsFiles | None = None, *, tells: bool = True
    ) -> None:
        self._listen = listen
        self._look = look
        self._tls = tls
        self._tells = tells
        self._watching: asyncio.Task[None] | None = None
        application = web.Application()
        application.router.add_get(METRICS, self._metrics)
        application.router.add_get(HEALTH, self._health)
        application.router.add_get(LIVE, self._live)
        application.router.add_get(READY, self._ready)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_END_S)

    async def start(self) -> str:
        """Listen; return the URL of the metrics. Raises EndpointError, and TlsFilesError."""
        context = None if self._tls is None else await self._secure(self._tls)
        await self._runner.setup()
        host, _, port = self._listen.rpartition(":")
        site = web.TCPSite(self._runner, host.strip("[]"), int(port), ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            reason = "another process does, or the address is not one of this machine"
            raise EndpointError(f"cannot listen on {self._listen} for metrics: {reason}") from error
        scheme = "http" if context is None else "https"
        return f"{scheme}://{host}:{self._runner.addresses[0][1]}{METRICS}"

    async def stop(self) -> None:
        """Close the address."""
        if self._watching is not None:
            self._watching.cancel()
        await self._runner.cleanup()

    async def _secure(self, files: TlsFiles) -> ssl.SSLContext:
        """Return what speaks TLS with the files, also after they have changed."""
        certificates = await asyncio.to_thread(Certificates, files, tells=self._tells)
        context = _context(files)

        def change() -> None:
            try:
                _context(files)  # a pair that has changed once more would spoil the one in use
                context.load_cert_chain(files.cert, files.key, password="")
            except (OSError, ssl.SSLError):
                log.exception("the metrics go on with the certificate from before")

        self._watching = asyncio.create_task(certificates.watch(change))
        return context

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


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # A key with a password was refused before; without one given, the terminal would be asked.
    context.load_cert_chain(files.cert, files.key, password="")
    return context
