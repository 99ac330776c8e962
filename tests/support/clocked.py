"""An engine whose store's clock is in the hand of the test."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.support.ledgers import Ledger
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.store import open_store


class Clock:
    """The store's clock: it shows what the test sets."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


@asynccontextmanager
async def running(
    ledger: Ledger, clock: Clock, settings: EngineSettings | None = None, *, sweep: bool = False
) -> AsyncGenerator[Engine]:
    """Run an engine over a ledger, in this process, by this clock."""
    store = open_store(ledger.url, clock=clock)
    engine = Engine(store, settings or EngineSettings())
    await engine.start(sweep=sweep)
    try:
        yield engine
    finally:
        await engine.stop()
        store.close()
