"""`/livez` and `/readyz`: whether a process answers, and whether it can carry calls out; `/healthz` beside them."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import Serving, serving
from tests.faults.several import maintenance
from tests.faults.silent import silent_proxy
from tests.support.pages import read_health, read_metrics
from tests.support.postgres import database_name
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.monitoring.view import SILENT_S_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from tests.support.ledgers import Ledger

PATIENT_S = 60.0
PAGE_WITHIN_S = 5.0
"""Generous: a page that asked a silent database would take `store_timeout_s`, 12 s here."""


@asynccontextmanager
async def shown(
    folder: Path, *arguments: str, url: str = ""
) -> AsyncGenerator[tuple[Serving, str]]:
    running = serving(
        *(folder, "--metrics-listen", "127.0.0.1:0", "--log-level", "error"),
        *arguments,
        database=url or None,
    )
    server = await asyncio.to_thread(running.__enter__)
    try:
        assert server.process.stdout is not None
        server.lines.append(server.process.stdout.readline())
        yield server, server.lines[-1].removeprefix("metrics on http://").partition("/")[0]
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def statuses(address: str) -> tuple[int, int, int]:
    """What the three pages say, `/livez`, `/readyz` and `/healthz`; none may take long, whatever the database does."""
    begun_s = time.monotonic()
    told = tuple(read_health(address, path)[0] for path in ("/livez", "/readyz", "/healthz"))
    assert time.monotonic() - begun_s < PAGE_WITHIN_S
    return told[0], told[1], told[2]


async def wait_for(condition: Callable[[], bool]) -> bool:
    return await asyncio.to_thread(wait_until, condition, timeout_s=PATIENT_S)


async def test_a_server_on_sqlite_is_ready_until_it_stops(tmp_path: Path) -> None:
    async with shown(tmp_path, "--drain-delay-s", "60") as (server, address):
        ready = statuses(address)
        page = read_health(address, "/readyz")[1]
        silent_s = read_metrics(address).value(
            "tollkeeper_lane_database_silent_seconds", worker="0", lane="0"
        )
        server.process.send_signal(signal.SIGTERM)
        draining = await wait_for(lambda: statuses(address) == (200, 503, 503))
        stopping = read_health(address, "/readyz")[1]["stopping"]

    assert ready == (200, 200, 200)
    assert page["ready"] is True
    assert page["workers"][0]["database_silent_s"] < SILENT_S_MAX
    assert silent_s < SILENT_S_MAX
    assert draining
    assert stopping is True


async def test_a_server_whose_sqlite_file_was_moved_is_live_and_not_ready(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.db"
    async with shown(tmp_path) as (_, address):
        assert statuses(address) == (200, 200, 200)
        file.rename(tmp_path / "moved.db")
        assert await wait_for(lambda: statuses(address)[:2] == (200, 503))
        (tmp_path / "moved.db").rename(file)
        assert await wait_for(lambda: statuses(address) == (200, 200, 200))


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=thorough)])
async def test_a_server_whose_database_is_silent_is_live_and_not_ready_until_it_answers_again(
    postgres_ledger: Ledger, workers: int, tmp_path: Path
) -> None:
    arguments = ("--workers", str(workers), "--store-timeout-s", "12")
    async with (
        silent_proxy(postgres_ledger.url) as (proxy, url),
        shown(tmp_path, *arguments, url=url) as (_, address),
    ):
        assert await asyncio.to_thread(statuses, address) == (200, 200, 200)

        proxy.fall_silent()
        assert await wait_for(lambda: statuses(address) == (200, 503, 200))
        page = (await asyncio.to_thread(read_health, address, "/readyz"))[1]
        proxy.speak()

        assert await wait_for(lambda: statuses(address) == (200, 200, 200))
    assert len(page["workers"]) == workers
    assert all(each["database_silent_s"] >= SILENT_S_MAX for each in page["workers"])
    assert all(each["serving"] for each in page["workers"])


@pytest.mark.postgres
@pytest.mark.slow
@thorough
async def test_a_server_whose_database_refuses_connections_is_live_and_not_ready(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    name = database_name(postgres_ledger.url)
    async with shown(tmp_path, url=postgres_ledger.url) as (_, address):
        with maintenance(postgres_ledger) as database:
            database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            assert await wait_for(lambda: statuses(address) == (200, 503, 200))
            database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())

        assert await wait_for(lambda: statuses(address) == (200, 200, 200))
