"""The mover's writer and its server killed in the middle of moving out: calls go on, and each reservation goes once."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import serving
from tests.faults.load import Load
from tests.support.ledgers import CHARGE, Ledger, fill
from tests.support.waiting import wait_until
from tests.support.writers import writers_of
from tollkeeper.engine.background.mover import MOVER

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.postgres

SHORT = ("--late-window-s", "1", "--retention-s", "1", "--log-level", "error")
MOVED = "SELECT sum(moved_out) FROM usage_hour"
LEFT = "SELECT count(*) FROM reservation"


async def filled(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=10**9)


async def moved(ledger: Ledger, more_than: int) -> int:
    """Wait until more has been moved out; return how much."""
    assert await asyncio.to_thread(
        wait_until, lambda: ledger.number(MOVED) > more_than, timeout_s=30
    )
    return ledger.number(MOVED)


async def killed_mover(server: int) -> int:
    """Kill a server's mover as soon as there is one."""
    assert await asyncio.to_thread(
        wait_until, lambda: writers_of(server, MOVER) != [], timeout_s=20
    )
    (pid,) = writers_of(server, MOVER)
    os.kill(pid, signal.SIGKILL)
    assert await asyncio.to_thread(
        wait_until, lambda: pid not in writers_of(server, MOVER), timeout_s=20
    )
    return pid


def assert_all_moved_once(ledger: Ledger, charges: int) -> None:
    assert ledger.entries()[CHARGE][0] >= charges
    assert ledger.number(MOVED) == ledger.entries()[CHARGE][0]
    assert ledger.findings() == []


@pytest.mark.thorough
async def test_no_call_notices_that_the_mover_is_killed_again_and_again(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    ledger = postgres_ledger
    await filled(ledger)
    with serving(tmp_path, *SHORT, database=ledger.url) as server:
        load = Load(server.address)
        load.start()
        gone, killed = 0, set[int]()
        for _ in range(4):
            gone = await moved(ledger, gone)
            killed.add(await killed_mover(server.process.pid))
        load.stop()
        told = await load.end()
        done = await asyncio.to_thread(wait_until, lambda: ledger.number(LEFT) == 0, timeout_s=30)
        ended = await asyncio.to_thread(server.stop)

    assert len(killed) == 4
    assert not told.refused
    assert done
    assert ended.code == 0
    assert ended.err.count("writer mover was lost; starting another") == 4
    assert_all_moved_once(ledger, len(told.committed))


@pytest.mark.thorough
async def test_what_killed_servers_were_moving_out_is_moved_out_once_by_the_next(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    ledger = postgres_ledger
    await filled(ledger)
    committed, gone = 0, 0
    for turn in range(3):
        with ExitStack() as stack:
            servers = [
                stack.enter_context(serving(tmp_path, *SHORT, database=ledger.url))
                for _ in range(2)
            ]
            loads = [Load(each.address, f"{turn}-{n}") for n, each in enumerate(servers)]
            for each in loads:
                each.start()
            gone = await moved(ledger, gone)
            for each in servers:
                each.process.kill()
            for each in loads:
                committed += len((await each.end()).committed)

    with serving(tmp_path, *SHORT, database=ledger.url):
        done = await asyncio.to_thread(
            wait_until,
            lambda: ledger.number(LEFT + " WHERE state <> 1") == 0,
            timeout_s=30,
        )

    assert done
    assert_all_moved_once(ledger, committed)
