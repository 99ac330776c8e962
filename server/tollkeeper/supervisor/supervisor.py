"""Runs several serving processes as one server: one port, one start, one view, one stop.

This process answers no calls and opens no database: it has little to fail at. The first process alone does what a
server does once at its start (it says what is wrong with the database, and publishes the prices of the settings); the
others begin when it serves. A signal stops all of them at once, with one `drain_delay_s` and one `drain_s` for all; a
second one ends them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tollkeeper.certificates import TlsFiles
from tollkeeper.listening import TcpAddress, every_interface, parse_listen
from tollkeeper.monitoring.view import ServiceView
from tollkeeper.supervisor.leave_lock import LeaveLock
from tollkeeper.supervisor.messages import WorkerSpec, end_within_s
from tollkeeper.supervisor.port import ReservedPort
from tollkeeper.supervisor.worker_slot import WorkerSlot
from tollkeeper.worker import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from typing import Any

    from tollkeeper.config import Settings
    from tollkeeper.core.commands import PublishPrices
    from tollkeeper.supervisor.child import Child

    Listening = Callable[[str], None]

log = logging.getLogger(__name__)


def run(
    settings: Settings,
    on_listening: Listening,
    *,
    publication: PublishPrices | None = None,
    on_metrics: Listening | None = None,
) -> None:
    """Serve with `settings.workers` processes until SIGTERM or SIGINT.

    `publication` is published before the first call where the ledger has no price list. `on_listening` is told the
    addresses once all of them answer, then `on_metrics` that of the metrics, where there are. Raises PortError or
    EndpointError for an address that cannot be listened on, what kept the first processes from serving, and
    WorkerLostError where one ends again and again.
    """
    asyncio.run(_Supervisor(settings).run(on_listening, publication, on_metrics))


class _Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots: list[WorkerSlot] = []
        self._stopping = asyncio.Event()

    async def run(
        self,
        on_listening: Listening,
        publication: PublishPrices | None,
        on_metrics: Listening | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.add_signal_handler(each, self._signalled, each)
        async with AsyncExitStack() as stack:
            address = ",".join(self._reserve(stack))
            metrics = await self._show(stack)
            settings = self._settings.model_copy(update={"listen": address})
            of = settings.workers
            lock = LeaveLock.create()
            stack.callback(lock.close)
            self._slots = [
                WorkerSlot(WorkerSpec(number, of, settings, None, lock.descriptor))
                for number in range(of)
            ]
            stack.push_async_callback(self._stop)
            if not await self._unless_stopped(self._begin(publication)):
                return
            on_listening(address)
            if metrics is not None and on_metrics is not None:
                on_metrics(metrics)
            log.info("serving address=%s workers=%d", address, of)
            await self._unless_stopped(self._keep())
            log.info("draining for_s=%d", settings.drain_delay_s + settings.drain_s)
        log.info("stopped")

    def _reserve(self, stack: AsyncExitStack) -> Iterator[str]:
        """Reserve every port; yield each address with its port."""
        for address in parse_listen(self._settings.listen):
            # Files cannot be shared, so that the settings allow none here.
            assert isinstance(address, TcpAddress)  # noqa: S101
            port = ReservedPort(address.host or every_interface(), address.port)
            stack.callback(port.close)
            yield port.address

    async def _show(self, stack: AsyncExitStack) -> str | None:
        """Show health and metrics where that is asked for; return the address."""
        if self._settings.metrics_listen is None:
            return None
        from tollkeeper.monitoring.endpoint import Endpoint  # noqa: PLC0415 - it takes a while to load

        settings = self._settings
        files = TlsFiles.of(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        # The workers tell of changes of the files.
        endpoint = Endpoint(self._settings.metrics_listen, self._look, files, tells=False)
        address = await endpoint.start()
        stack.push_async_callback(endpoint.stop)
        return address

    async def _look(self) -> ServiceView:
        workers = await asyncio.gather(*[slot.look() for slot in self._slots])
        return ServiceView(stopping=self._stopping.is_set(), workers=tuple(workers))

    async def _begin(self, publication: PublishPrices | None) -> None:
        first, *others = self._slots
        await first.begin(publication)
        await _all(slot.begin() for slot in others)

    async def _keep(self) -> None:
        await _all(slot.keep() for slot in self._slots)

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do it until it is done or all is to stop; say whether it is done. Raises what it raises."""
        task = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
        finally:
            stopping.cancel()
            task.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)
        return False

    async def _stop(self) -> None:
        """Stop all processes together, and end those that do not."""
        self._stopping.set()
        children = self._children()
        for child in children:
            child.stop()
        ended = [child.ended for child in children]
        if not ended:
            return
        _, late = await asyncio.wait(ended, timeout=end_within_s(self._settings))
        for child in children:
            if child.ended in late:
                log.error("a worker (%d) does not end; killing it", child.pid)
                child.kill()
        await asyncio.gather(*ended)

    def _children(self) -> list[Child]:
        return [child for slot in self._slots for child in slot.children]

    def _signalled(self, number: int) -> None:
        if self._stopping.is_set():
            for child in self._children():
                child.kill()
            os._exit(128 + number)
        self._stopping.set()


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of them; the first that fails ends the others, and is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
