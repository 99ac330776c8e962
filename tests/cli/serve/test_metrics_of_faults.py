"""What a scrape shows while the database says nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.cli.processes import serving
from tests.faults.several import begin
from tests.faults.silent import silent_proxy
from tests.support.ledgers import Ledger, fill, held, leads
from tests.support.pages import Metrics, read_metrics
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.postgres

SETTINGS = (
    *("--metrics-listen", "127.0.0.1:0", "--log-level", "error"),
    *("--store-timeout-s", "2", "--drain-s", "5"),
)


async def test_a_scrape_answers_soon_with_what_is_known_while_the_database_is_silent(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    async with postgres_ledger.engine() as engine:
        await fill(engine)
        held(await engine.authorize(leads("open", hold_us=10**9)))
    async with silent_proxy(postgres_ledger.url) as (proxy, through):
        stack = ExitStack()
        try:
            server = await asyncio.to_thread(
                stack.enter_context, serving(tmp_path, *SETTINGS, database=through)
            )
            assert server.process.stdout is not None
            line = await asyncio.to_thread(server.process.stdout.readline)
            address = line.removeprefix("metrics on http://").partition("/")[0]
            channel = stack.enter_context(grpc.insecure_channel(server.address))
            await asyncio.to_thread(begin(channel, "before").result)
            told = await asyncio.to_thread(wait_until, lambda: is_told(address), timeout_s=20)

            proxy.fall_silent()
            asked = begin(channel, "meanwhile")
            await asyncio.to_thread(wait_until, lambda: in_flight(address) == 1, timeout_s=20)
            begun_s = time.monotonic()
            page = await asyncio.to_thread(read_metrics, address)
            took_s = time.monotonic() - begun_s
            proxy.speak()
            asked.cancel()
            await asyncio.to_thread(server.stop)
        finally:
            await asyncio.to_thread(stack.close)

    assert told
    assert took_s < 5
    assert page.value("tollkeeper_calls_in_flight", worker="0") == 1
    assert page.value("tollkeeper_holds_open") == 1
    assert page.value("tollkeeper_credits_held_total") == 10
    assert page.value("tollkeeper_worker_up", worker="0") == 1


def is_told(address: str) -> bool:
    page = read_metrics(address)
    return known(page, "tollkeeper_holds_open") and page.value("tollkeeper_credits_held_total") > 0


def known(page: Metrics, name: str) -> bool:
    return (name, frozenset[tuple[str, str]]()) in page.samples


def in_flight(address: str) -> float:
    return read_metrics(address).value("tollkeeper_calls_in_flight", worker="0")
