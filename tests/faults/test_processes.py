"""A server process that is told to stop, or is killed, while gateways call: what it said is kept."""

import asyncio
import signal
import time
from pathlib import Path

from tests.cli.processes import serving
from tests.faults.load import Load
from tests.support.ledgers import Ledger, fill, held, leads
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Commit

DRAIN_S = 10
MANY = 10**9


async def test_sigterm_under_load_answers_what_is_in_flight_and_exits_with_0(
    ledger: Ledger, tmp_path: Path
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=MANY)
    with serving(
        tmp_path, "--drain-s", str(DRAIN_S), "--log-level", "error", database=ledger.url
    ) as server:
        load = Load(server.address)
        load.start()
        await load.reach(committed=100)

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
    with serving(tmp_path, "--log-level", "error", database=ledger.url) as server:
        load = Load(server.address)
        load.start()
        await load.reach(committed=100)

        server.process.kill()
        told = await load.end()
        ended = await asyncio.to_thread(server.wait)

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
