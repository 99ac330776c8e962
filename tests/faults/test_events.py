"""A server that is killed while rules are met: each event is there once, and a stream that goes on misses none."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import grpc.aio

from tests.cli.processes import serving
from tests.faults.load import GATEWAYS, Load, under_way
from tests.support.ledgers import ACCOUNT, CHARGE, Ledger, fill
from tests.support.thorough import thorough
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.alerts.rules import ALERTS_MAX, AlertRule
from tollkeeper.core.commands import UpdateAccount
from tollkeeper.core.limits import LimitWindow
from tollkeeper.v1 import events_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub

MANY = 10**9
STEP = 40
"""Credits from one rule to the next: four charges."""
RULES = tuple(
    AlertRule(
        0, f"{n * STEP}", AlertSubject.CONSUMED, n * STEP, False, LimitWindow.MONTH, "UTC", ""
    )
    for n in range(1, ALERTS_MAX + 1)
)
WAIT_S = 60


class Watcher:
    """Watches a server until it is lost or has told everything, and remembers where to go on."""

    def __init__(self) -> None:
        self.cursor = ""
        self.told: list[tuple[str, str]] = []
        self.lost: grpc.StatusCode | None = None

    async def watch(self, address: str, *, until: int) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            request = events_pb2.WatchEventsRequest(cursor=self.cursor)
            watching: Any = AdminServiceStub(channel).WatchEvents(request)
            try:
                while len(self.told) < until:
                    answer = await watching.read()
                    if answer.HasField("event"):
                        self.told.append((answer.event.rule, answer.event.event_id))
                    self.cursor = answer.cursor
            except grpc.aio.AioRpcError as error:
                self.lost = error.code()
            watching.cancel()


@thorough
async def test_events_survive_a_killed_server_once_each_and_a_resumed_stream_gets_all(
    ledger: Ledger, tmp_path: Path
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=MANY)
        await engine.update_account(UpdateAccount(ACCOUNT, "rules", alerts=RULES))
    watcher = Watcher()
    with serving(tmp_path, "--log-level", "error", database=ledger.url) as server:
        load = Load(server.address)
        load.start()
        watching = asyncio.create_task(watcher.watch(server.address, until=ALERTS_MAX))
        await load.reach(committed=100)
        server.process.kill()
        told = await load.end()
        await asyncio.wait_for(watching, WAIT_S)
        assert watcher.lost is grpc.StatusCode.UNAVAILABLE
        assert (await asyncio.to_thread(server.wait)).code == -signal.SIGKILL

    with serving(tmp_path, "--log-level", "error", database=ledger.url) as server:
        load = await under_way(server.address, "after", committed=100)
        load.stop()
        told_after = await load.end()
        charges, consumed = ledger.entries()[CHARGE]
        met = [rule.name for rule in RULES if rule.threshold <= -consumed]
        await asyncio.wait_for(watcher.watch(server.address, until=len(met)), WAIT_S)
        assert (await asyncio.to_thread(server.stop)).code == 0

    acknowledged = len(told.committed) + len(told_after.committed)
    assert acknowledged <= charges <= acknowledged + GATEWAYS
    events = ledger.rows("SELECT rule, event_id FROM event ORDER BY position")
    assert [rule for rule, _ in events] == met
    assert watcher.told == [(rule, f"{event_id:x}") for rule, event_id in events]
    assert len(met) > 200 * 10 // STEP - 1
    assert ledger.findings() == []
