"""The composition root: settings in, a running server out.

Everything is opened from the inside out (schema, store, engine, webhooks, gRPC) and closed in reverse:
health says NOT_SERVING and calls in flight are answered first, deliveries on their way are finished, then
the engine finishes what it has taken, then the store is closed. A second signal ends the process at once,
which a ledger must survive anyway.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import uvloop

from tollkeeper import process
from tollkeeper.certificates import TlsFiles
from tollkeeper.core.commands import ListPrices
from tollkeeper.core.defaults import LANES, LANES_BESIDE_WORKERS, US_PER_S
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.webhooks.deliveries import Schedule
from tollkeeper.engine.background.mover import MOVER
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.hosts.process_host import ProcessHost, WriterSpec
from tollkeeper.engine.settings import EngineSettings, WebhookSettings
from tollkeeper.engine.webhooks.dispatcher import Dispatcher
from tollkeeper.monitoring.view import ServiceView, WorkerView
from tollkeeper.outgoing.addresses import parse_networks
from tollkeeper.outgoing.sender import HttpSender
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.storage.connections.answer_watch import AnswerWatch
from tollkeeper.storage.connections.served_file import ServedFile, lock_file
from tollkeeper.storage.schema import migrate, partitions
from tollkeeper.storage.store import SqlStore, open_store
from tollkeeper.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tollkeeper.config import Settings
    from tollkeeper.core.commands import PublishPrices
    from tollkeeper.engine.lanes.lane import HostOf
    from tollkeeper.engine.ports import Store
    from tollkeeper.storage.connections.ledger_files import LedgerFiles

    Opening = Callable[[Engine], Awaitable[None]]
    Listening = Callable[[str], None]

log = logging.getLogger(__name__)


"""Lanes where the settings leave it to us: with a second, batches halve and one process waits for its own lock."""

LEASE_MARGIN_S = 5
MOVE_OUT_EVERY_S = 60.0
"""How often a lane goes through its old reservations; more often where they are kept for minutes only."""

PARTITIONS_EVERY_S = 3_600.0
FILES_LOOKED_AT_EVERY_S = 0.5

STOP_MARGIN_S = 2.0
"""How much longer than `drain_s` what was taken may wait for the database; then it is broken off."""

_PUBLISH_ATTEMPTS_MAX = 5
_PUBLISH_BACK_OFF_S = 0.2


def run(
    settings: Settings,
    on_listening: Listening,
    *,
    openings: Sequence[Opening] = (),
    on_metrics: Listening | None = None,
) -> None:
    """Serve in this process alone until SIGTERM or SIGINT, see `serve`; and show metrics where that is asked for.

    Raises what `serve` does, and EndpointError where the address for metrics cannot be listened on.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_alone(settings, on_listening, openings, on_metrics))


async def _serve_alone(
    settings: Settings,
    on_listening: Listening,
    openings: Sequence[Opening],
    on_metrics: Listening | None,
) -> None:
    worker = Worker()
    worker.listen_to_signals()
    if settings.metrics_listen is None:
        await serve(settings, worker, on_listening, openings=openings)
        return
    from tollkeeper.monitoring.endpoint import Endpoint  # noqa: PLC0415 - it takes a while to load

    began_s = time.time()

    async def look() -> ServiceView:
        alone = WorkerView(
            number=worker.number,
            pid=os.getpid(),
            since_s=began_s,
            restarts=0,
            serves=worker.serves,
            answers=True,
            counts=worker.count(),
        )
        return ServiceView(stopping=worker.stopping.is_set(), workers=(alone,))

    # The server tells of changes of the files.
    endpoint = Endpoint(settings.metrics_listen, look, tls_files(settings), tells=False)
    metrics = await endpoint.start()

    def on_both(address: str) -> None:
        on_listening(address)
        if on_metrics is not None:
            on_metrics(metrics)

    try:
        await serve(settings, worker, on_both, openings=openings)
    finally:
        await endpoint.stop()


async def serve(
    settings: Settings, worker: Worker, on_listening: Listening, *, openings: Sequence[Opening] = ()
) -> None:
    """Serve until the worker is told to stop, and for `drain_delay_s` after it; then drain for at most `drain_s`.

    `openings` run in order before the first call is taken. `on_listening` is told the addresses once the server
    answers, with commas between them. Raises ServedFileError for a SQLite file that another server serves, SchemaError
    for a schema that is not current, StoreError where the database cannot be used, ListenError where an address cannot,
    TlsFilesError where the TLS files cannot.
    """
    async with AsyncExitStack() as stack:
        drain = Drain(settings.drain_s)
        stack.callback(drain.end)
        store, served = await _open(settings, worker, stack)
        how = engine_settings(settings, store)
        hosts = process_hosts(
            *(settings.database, how),
            log_level=settings.log_level,
            worker=worker,
            files=served and served.files,
        )
        sender = _sender(settings)
        stack.push_async_callback(sender.close)
        if worker.number == 0:
            keep = partial(partitions.keep, settings.database, retention_us=how.retention_us)
            await _look_after(partial(keep, watch=store.watch), stack)
        engine = Engine(
            *(store, how),
            host_of=hosts,
            sender=sender,
            moves_out=worker.number == 0,
            look=store.backlog if how.measures and worker.number == 0 else None,
        )
        stack.push_async_callback(engine.stop)
        await engine.start()
        dispatcher = Dispatcher(store.webhooks, sender, webhook_settings(settings))
        stack.push_async_callback(lambda: dispatcher.stop(drain.left_s()))
        for opening in openings:
            await opening(engine)
        server = Server(
            engine,
            server_settings(settings, share_port=worker.of > 1),
            others_serve=lambda: worker.others_serve,
            turn=worker.leave_turn,
        )
        process.settle_memory()
        await server.start()
        worker.begin(server.counts)
        stack.push_async_callback(lambda: server.stop(drain.left_s()))
        if served is not None:
            watching = asyncio.create_task(_watch(served, worker, server))
            stack.callback(watching.cancel)
        await dispatcher.start()
        on_listening(server.address)
        log.info("serving address=%s", server.address)
        await _until_drained(settings, worker, server)
        drain.begin(engine.abandon)
        dispatcher.close()
    log.info("stopped")


def _sender(settings: Settings) -> HttpSender:
    return HttpSender(
        timeout_s=settings.webhook_timeout_s,
        networks=parse_networks(settings.webhook_networks or ""),
        plain_http=settings.insecure,
    )


async def _until_drained(settings: Settings, worker: Worker, server: Server) -> None:
    """Wait until the worker is told to stop, and then for as long as calls are served on."""
    await worker.stopping.wait()
    server.leave()
    log.info("leaving for_s=%d", settings.drain_delay_s)
    await asyncio.sleep(settings.drain_delay_s)
    log.info("draining for_s=%d", settings.drain_s)


async def _open(
    settings: Settings, worker: Worker, stack: AsyncExitStack
) -> tuple[SqlStore, ServedFile | None]:
    """Make sure of the schema, and of a SQLite file first that no other server serves it; open the store."""
    served = await asyncio.to_thread(lock_file, settings.database)
    if served is not None:
        stack.callback(served.close)
    watch = AnswerWatch(settings.store_timeout_s)
    stack.callback(watch.close)
    await asyncio.to_thread(migrate.prepare, settings.database, watch=watch)
    if served is not None:
        await asyncio.to_thread(served.open)
    store = SqlStore(settings.database, watch=watch, files=served and served.files)
    stack.callback(store.close)
    await asyncio.to_thread(store.check, warn=worker.number == 0)
    return store, served


async def _watch(served: ServedFile, worker: Worker, server: Server) -> None:
    """Say NOT_SERVING while a SQLite file is not where it was. Its lane refuses calls by itself, at once."""
    while True:
        await asyncio.sleep(FILES_LOOKED_AT_EVERY_S)
        worker.hindered = not served.is_there()
        server.hinder(hindered=worker.hindered)
        if worker.hindered:
            await asyncio.to_thread(served.save)


class Drain:
    """The time that is left for what is in flight, counted once for all of it."""

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._until_s: float | None = None
        self._over: asyncio.TimerHandle | None = None

    def begin(self, when_over: Callable[[], None]) -> None:
        """Start to count; call `when_over` if the end does not come a moment after the time is over."""
        loop = asyncio.get_running_loop()
        self._until_s = loop.time() + self._for_s
        self._over = loop.call_later(self._for_s + STOP_MARGIN_S, when_over)

    def end(self) -> None:
        """Take note that nothing is in flight any more."""
        if self._over is not None:
            self._over.cancel()

    def left_s(self) -> float:
        """Return what is left; all of it, where it was not begun."""
        if self._until_s is None:
            return self._for_s
        return max(0.0, self._until_s - asyncio.get_running_loop().time())


async def _look_after(keep: Callable[[], None], stack: AsyncExitStack) -> None:
    """Look after the partitions now, and every hour until the stack is left."""
    await _keep_partitions(keep)
    keeper = asyncio.create_task(_keep_on(keep))
    stack.callback(keeper.cancel)


async def _keep_partitions(keep: Callable[[], None]) -> None:
    """Look after the partitions; where that fails, rows go to the default ones until it is tried again."""
    try:
        await asyncio.to_thread(keep)
    except Exception:
        log.exception("partitions were not looked after; it is tried again")


async def _keep_on(keep: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(PARTITIONS_EVERY_S)
        await _keep_partitions(keep)


def process_hosts(
    database: str,
    settings: EngineSettings,
    *,
    log_level: str,
    worker: Worker | None = None,
    files: LedgerFiles | None = None,
) -> HostOf:
    """Return what gives each lane of an engine, and its mover, a writer in a process of its own.

    A lane's writer does the share of the background work that its worker has. There is one mover for all workers.
    `files` are those of a SQLite ledger: a writer that is started later opens these, or none.
    """
    place = worker or Worker()

    def host_of(name: str, shards: Sequence[int]) -> ProcessHost:
        plan = WriterSpec(
            begin=partial(process.set_up_log, log_level, place.name),
            ready=process.settle_memory,
            open_store=partial(
                open_store, database, answer_within_s=settings.answer_within_s, files=files
            ),
            shards=shards if name == MOVER else place.share_of(shards),
            settings=settings,
        )
        return ProcessHost(name, plan)

    return host_of


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return the files of TLS; None where there is to be none."""
    return TlsFiles.of(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def engine_settings(settings: Settings, store: Store) -> EngineSettings:
    """Return what the settings mean to the engine."""
    return EngineSettings(
        hold_default_us=settings.hold_default_s * US_PER_S,
        hold_max_us=settings.hold_max_s * US_PER_S,
        hold_total_max_us=settings.hold_total_max_s * US_PER_S,
        late_window_us=settings.late_window_s * US_PER_S,
        retention_us=settings.retention_s * US_PER_S,
        move_out_every_s=min(MOVE_OUT_EVERY_S, max(settings.retention_s, 1) / 10),
        lanes=min(settings.lanes or _lanes_of_each(settings.workers), store.lanes_max),
        answer_within_s=settings.store_timeout_s,
        measures=settings.metrics_listen is not None,
    )


def server_settings(settings: Settings, *, share_port: bool = False) -> ServerSettings:
    """Return what the settings mean to the gRPC server."""
    return ServerSettings(
        listen=settings.listen,
        share_port=share_port,
        tls=tls_files(settings),
        plain_http=settings.insecure,
        message_bytes_max=settings.message_bytes_max,
        metadata_bytes_max=settings.metadata_bytes_max,
        streams_max=settings.streams_max,
        ping_every_s=settings.keepalive_client_s,
        keepalive_s=settings.keepalive_s,
        keepalive_timeout_s=settings.keepalive_timeout_s,
        connection_age_s=settings.connection_age_s,
        connection_grace_s=settings.connection_grace_s,
        connection_idle_s=settings.connection_idle_s,
        count_clients=settings.metrics_listen is not None,
        channelz=settings.channelz == "on",
    )


def _lanes_of_each(workers: int) -> int:
    """Return how many lanes each worker has where no number is set."""
    return LANES if workers == 1 else LANES_BESIDE_WORKERS


def webhook_settings(settings: Settings) -> WebhookSettings:
    """Return what the settings mean to the dispatcher. A lease outlasts an attempt and the writing of its outcome."""
    return WebhookSettings(
        schedule=Schedule(
            first_us=settings.webhook_retry_s * US_PER_S,
            longest_us=settings.webhook_retry_max_s * US_PER_S,
            attempts_max=settings.webhook_attempts,
            give_up_us=settings.webhook_give_up_s * US_PER_S,
        ),
        lease_us=(2 * settings.webhook_timeout_s + LEASE_MARGIN_S) * US_PER_S,
    )


def publish_first(command: PublishPrices) -> Opening:
    """Return the opening that publishes a price list where the ledger has none of its name.

    The command's request_id stands for its content, so servers that start together publish it once.
    """

    async def publish(engine: Engine) -> None:
        if (await engine.prices(ListPrices(page_size=1, name=command.name))).lists:
            log.info("the ledger has a price list; the one of the settings is not published")
            return
        for attempt in range(1, _PUBLISH_ATTEMPTS_MAX + 1):
            try:
                await engine.publish_prices(command)
            except Refused as refused:
                # Another server is publishing at this moment.
                if (
                    refused.reason is not Reason.STORE_UNAVAILABLE
                    or attempt == _PUBLISH_ATTEMPTS_MAX
                ):
                    raise
                await asyncio.sleep(attempt * _PUBLISH_BACK_OFF_S)
            else:
                return

    return publish
