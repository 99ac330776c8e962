"""An engine that answers what a test tells it to, behind a real server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc.aio
from grpc_health.v1 import health_pb2_grpc

from tollkeeper.engine.background.observed import Observed
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceAsyncStub


class FakeEngine:
    """Answers every command with `answer`, or raises it; until `free` is set it waits."""

    def __init__(self) -> None:
        self.settings = EngineSettings()
        self.answer: Any = RuntimeError("no answer was given")
        self.asked: list[Any] = []
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()
        self.observed = Observed((), None)

    @property
    def engine(self) -> Engine:
        """This, as what the server takes."""
        return cast("Engine", self)

    def lane_counts(self) -> tuple[()]:
        """There are no lanes."""
        return ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._execute

    async def _execute(self, command: Any) -> Any:
        self.asked.append(command)
        self.arrived.set()
        try:
            await self.free.wait()
        finally:
            self.left.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass(frozen=True, slots=True)
class Served:
    """A server over a fake engine, and a connection to it."""

    fake: FakeEngine
    server: Server
    port: int
    channel: grpc.aio.Channel
    ledger: "LedgerServiceAsyncStub"
    health: Any


@asynccontextmanager
async def serving(answer: Any = None, **arguments: Any) -> AsyncGenerator[Served]:
    """Serve on a free port until the block ends; its engine answers every command with `answer`.

    `arguments` are the server's, such as `settings` where the usual ones are not meant.
    """
    fake = FakeEngine()
    if answer is not None:
        fake.answer = answer
    settings = arguments.pop("settings", ServerSettings("127.0.0.1:0"))
    server = Server(fake.engine, settings, **arguments)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ledger, health = LedgerServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        yield Served(fake, server, port, channel, ledger, health)
    await server.stop(0)
