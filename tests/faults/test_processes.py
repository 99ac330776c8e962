"""A server process that is told to stop, or is killed, while gateways call: what it said is kept."""

import asyncio
import os
import signal
import time
from pathlib import Path

from tests.cli.processes import serving
from tests.faults.load import under_way
from tests.support.ledgers import Ledger, fill, held, leads
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tests.support.writers import is_writer, writers_of
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Commit

DRAIN_S = 10
MANY = 10**9


@thorough
async def test_sigterm_under_load_answers_what_is_in_flight_and_exits_with_0(
    ledger: Ledger, tmp_path: Path
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=MANY)
    arguments = ("--drain-s", str(DRAIN_S), "--log-level", "error")
    with serving(tmp_path, *arguments, database=ledger.url) as server:
        load = await under_way(server.address, committed=100)

        begun_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        told = await load.end()
        ended = await asyncio.to_thread(server.wait)

    assert time.monotonic() - begun_s < DRAIN_S
    assert (ended.code, ended.err) == (0, "")
    assert set(told.refused) == {"UNAVAILABLE"}
    told.assert_kept(ledger)


async def test_what_a_killed_server_had_answered_is_there_after_its_restart(
    ledger: Ledger, tmp_path: Path
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=MANY)
    arguments = ("--log-level", "error")
    with serving(tmp_path, *arguments, database=ledger.url) as server:
        load = await under_way(server.address, committed=100)
        writers = writers_of(server.process.pid)
        assert writers

        server.process.kill()
        told = await load.end()
        ended = await asyncio.to_thread(server.wait)
        assert await asyncio.to_thread(
            wait_until, lambda: not any(map(is_writer, writers)), timeout_s=20
        )

    assert ended.code == -signal.SIGKILL
    assert set(told.refused) == {"UNAVAILABLE"}
    told.assert_kept(ledger)

    async with ledger.engine() as engine:
        for request_id, reservation_id in list(told.authorized.items())[-50:]:
            again = await engine.authorize(leads(request_id))
            assert isinstance(again, Authorized)
            assert (again.replayed, str(again.reservation)) == (True, reservation_id)
            settled = await engine.commit(Commit(held(again), http_status=200))
            assert settled.replayed or reservation_id not in told.committed
    assert ledger.findings() == []


@thorough
async def test_a_killed_writer_costs_its_callers_a_repeat_and_the_server_goes_on(
    ledger: Ledger, tmp_path: Path
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=MANY)
    arguments = ("--log-level", "error")
    with serving(tmp_path, *arguments, database=ledger.url) as server:
        load = await under_way(server.address, committed=100)
        for pid in writers_of(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0)
        load.stop()
        told = await load.end()

        after = await under_way(server.address, "after", committed=50)
        after.stop()
        told_after = await after.end()
        ended = await asyncio.to_thread(server.stop)

    assert set(told.refused) <= {"UNAVAILABLE"}
    assert not told_after.refused
    assert ended.code == 0
    assert "writer lane-0 was lost; starting another" in ended.err
    told.authorized |= told_after.authorized
    told.committed |= told_after.committed
    told.assert_kept(ledger)
