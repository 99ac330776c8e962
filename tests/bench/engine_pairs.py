"""Authorize + Commit at the engine's own boundary, without gRPC, by callers who each wait for one answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop

from tests.bench import ledger
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Authorize, Commit
from tollkeeper.core.pricing.paths import parse
from tollkeeper.engine.settings import EngineSettings

if TYPE_CHECKING:
    from tollkeeper.engine.engine import Engine

_PATH = parse("/v1/leads")


def first_accounts(number: int) -> str:
    """Return the accounts of an ordinary ledger, in turn."""
    return ledger.account_id(number)


@dataclass(frozen=True, slots=True)
class Load:
    """Who calls, how long, and on what."""

    run: str
    seconds: float
    warm_up_s: float
    callers: int = 1_000
    account: Callable[[int], str] = first_accounts
    """The account of the number-th request of all callers."""
    settings: EngineSettings = field(default_factory=EngineSettings)


def pairs_per_second(url: str, load: Load) -> float:
    """Run an engine as a server does, and return how many pairs its callers complete in a second."""
    return uvloop.run(_measure(url, load))


async def _measure(url: str, load: Load) -> float:
    async with ledger.running_engine(url, load.settings) as engine:
        await _work(engine, load, load.warm_up_s, f"{load.run}-warm")
        begun = time.perf_counter()
        pairs = await _work(engine, load, load.seconds, load.run)
        return pairs / (time.perf_counter() - begun)


async def _work(engine: Engine, load: Load, seconds: float, run: str) -> int:
    stop_at = time.perf_counter() + seconds
    counts = await asyncio.gather(
        *[_caller(engine, load, number, stop_at, run) for number in range(load.callers)]
    )
    return sum(counts)


async def _caller(engine: Engine, load: Load, number: int, stop_at: float, run: str) -> int:
    done = 0
    while not done or time.perf_counter() < stop_at:
        account = load.account(number + load.callers * done)
        answer = await engine.authorize(Authorize(account, "GET", _PATH, f"{run}-{number}-{done}"))
        if not isinstance(answer, Authorized) or answer.reservation is None:
            raise SystemExit(f"unexpected answer: {answer}")
        await engine.commit(Commit(answer.reservation, http_status=200))
        done += 1
    return done
