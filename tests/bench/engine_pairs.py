"""Authorize + Commit at the engine's own boundary, without gRPC: batches by nature beside one transaction per call."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.bench.ledger import account_id, running_engine
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Authorize, Commit
from tollkeeper.core.paths import parse
from tollkeeper.engine.settings import EngineSettings

if TYPE_CHECKING:
    from tollkeeper.engine.engine import Engine

CALLERS = 256
_PATH = parse("/v1/leads")


async def pairs_per_second(
    url: str, settings: EngineSettings, *, seconds: float, run: str
) -> float:
    """Return how many pairs 256 callers complete in a second."""
    async with running_engine(url, settings) as engine:
        await _load(engine, seconds=0.5, run=f"{run}-warm")
        begun = time.perf_counter()
        pairs = await _load(engine, seconds=seconds, run=run)
        return pairs / (time.perf_counter() - begun)


async def _load(engine: Engine, *, seconds: float, run: str) -> int:
    stop_at = time.perf_counter() + seconds
    counts = await asyncio.gather(
        *[_caller(engine, number, stop_at, run) for number in range(CALLERS)]
    )
    return sum(counts)


async def _caller(engine: Engine, number: int, stop_at: float, run: str) -> int:
    done = 0
    while time.perf_counter() < stop_at:
        command = Authorize(
            account_id(number + CALLERS * done), "GET", _PATH, f"{run}-{number}-{done}"
        )
        answer = await engine.authorize(command)
        if not isinstance(answer, Authorized) or answer.reservation is None:
            raise SystemExit(f"unexpected answer: {answer}")
        await engine.commit(Commit(answer.reservation, http_status=200))
        done += 1
    return done
