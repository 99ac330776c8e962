"""A server over a ledger with prices and one account, once for each database."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import Ended, Serving, serving
from tests.support.ledger_fixtures import ledger_on_any as ledger
from tests.support.ledger_fixtures import ledger_template, postgres_ledger
from tests.support.ledgers import Ledger, fill

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ledger", "ledger_template", "postgres_ledger"]

CREDITS = 10**9


class Server:
    """A server that can be paused, and tells at its end how many batches came."""

    def __init__(self, ledger: Ledger, serving: Serving) -> None:
        self.ledger = ledger
        self.serving = serving
        self.address = serving.address
        self._ended: Ended | None = None

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Let it take connections and requests, and do nothing about them, for the time of a block."""
        self.serving.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.serving.process.send_signal(signal.SIGCONT)

    def stop(self) -> Ended:
        if self._ended is None:
            self._ended = self.serving.stop()
        return self._ended

    def batches(self) -> int:
        """Stop it, and return how many Batch calls it has answered."""
        return self.stop().err.count("rpc method=Batch ")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A ledger with prices, and an account with more credits than a test can use."""

    async def prepare() -> None:
        async with ledger.engine() as engine:
            await fill(engine, credits=CREDITS)

    asyncio.run(prepare())
    return ledger


@pytest.fixture
def server(filled: Ledger, tmp_path: Path) -> Generator[Server]:
    """A server that ends well, and whose ledger is sound at the end."""
    with serving(tmp_path, "--log-level", "info", database=filled.url) as process:
        server = Server(filled, process)
        yield server
        assert server.stop().code == 0
    assert filled.findings() == []
