"""A ledger to measure: a fresh database with prices, accounts and more credits than a run can use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tollkeeper.app import process_hosts
from tollkeeper.core.commands import CreateAccount, GrantCredits, PublishPrices
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.core.usage import DAY_US
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.schema import migrate
from tollkeeper.storage.store import open_store

ACCOUNTS = 1_000
ANSWER_WITHIN_S = 3_600.0
AT_ONCE = 1_000
CREDITS = 10**12
PRICES = (
    Price("GET", "/v1/ip-lookup", 10),
    Price("GET", "/v1/leads", 10),
    Price("POST", "/v1/track", 1),
)


def account_id(number: int, accounts: int = ACCOUNTS) -> str:
    """Return the id of one of the accounts."""
    return f"bench-{number % accounts:06d}"


async def fill(url: str, accounts: int = ACCOUNTS) -> None:
    """Give a fresh database its schema, prices, accounts and credits."""
    migrate.upgrade(url)
    async with running_engine(url) as engine:
        await open_accounts(engine, accounts)


async def fill_days_ago(url: str, accounts: int, *, days: int) -> None:
    """Do that by an engine whose clock is late, so that the ledger may have a past."""
    migrate.upgrade(url)
    store = open_store(url, clock=lambda: time.time_ns() // 1_000 - days * DAY_US)
    engine = Engine(store)
    await engine.start(sweep=False)
    try:
        await open_accounts(engine, accounts)
    finally:
        await engine.stop()
        store.close()


async def open_accounts(engine: Engine, accounts: int = ACCOUNTS) -> None:
    """Publish the prices, and open accounts with more credits than a run can use."""
    await engine.publish_prices(PublishPrices("bench-prices", PRICES))
    for begin in range(0, accounts, AT_ONCE):
        end = min(begin + AT_ONCE, accounts)
        await asyncio.gather(*[_open(engine, account_id(n, accounts)) for n in range(begin, end)])


async def _open(engine: Engine, name: str) -> None:
    await engine.create_account(CreateAccount(name, f"create-{name}"))
    await engine.grant_credits(GrantCredits(name, f"grant-{name}", CREDITS))


@asynccontextmanager
async def running_engine(
    url: str, settings: EngineSettings | None = None
) -> AsyncGenerator[Engine]:
    """Run an engine on a database as a server does, without gRPC."""
    store = open_store(url)
    settings = settings or EngineSettings()
    engine = Engine(store, settings, host_of=process_hosts(url, settings, log_level="error"))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()
        store.close()


def assert_sound(url: str) -> None:
    """Stop a benchmark whose ledger is wrong: a fast ledger that loses a charge has no speed."""
    store = open_store(url, answer_within_s=ANSWER_WITHIN_S)
    try:
        findings = list(store.reader.verify(overdue_tolerance_us=60_000_000))
    finally:
        store.close()
    if findings:
        raise SystemExit(f"the ledger is broken: {findings[:3]}")
