"""Clients that do not read their answers: the server keeps a bounded part of them, and serves the others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import serving
from tests.rpc.fakes import FakeEngine
from tests.rpc.http2_frames import SlowReader
from tests.support.waiting import until
from tollkeeper.core.alerts.events import AlertSubject, Event
from tollkeeper.core.answers.views import EventPage
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1 import events_pb2, ledger_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

SESSION = "/tollkeeper.v1.LedgerService/Session"
WATCH = "/tollkeeper.v1.AdminService/WatchEvents"
PATIENCE_S = 3.0
SENT_MAX = 64 * 2**20
"""More than what is unanswered, and what gRPC reads ahead; a server that read on would take all of it."""
KEPT_MAX = 128 * 2**20


def messages() -> Iterator[bytes]:
    """Messages of a Session of 500 operations each, twice as many bytes as may be taken."""
    sent, sequence = 0, 0
    while sent < 2 * SENT_MAX:
        sequence += 1
        operations = [
            ledger_pb2.Operation(
                authorize=ledger_pb2.AuthorizeRequest(
                    account_id="nobody",
                    method="GET",
                    path="/v1/leads",
                    request_id=f"{sequence}-{n}",
                )
            )
            for n in range(500)
        ]
        message = ledger_pb2.SessionRequest(sequence=sequence, operations=operations)
        raw = message.SerializeToString()
        sent += len(raw)
        yield raw


def memory_of(pid: int) -> int:
    """The memory of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line[:6] == "VmRSS:") * 1024


@pytest.mark.slow
async def test_a_session_whose_answers_are_not_read_is_read_no_further(tmp_path: Path) -> None:
    running = serving(tmp_path)
    server = await asyncio.to_thread(running.__enter__)
    try:
        await asyncio.to_thread(server.json, "account", "create", "acme")
        before = memory_of(server.process.pid)
        peer = await SlowReader.call(server.address, SESSION)

        sent = await peer.send(messages(), patience_s=PATIENCE_S)
        kept = memory_of(server.process.pid) - before
        others = await asyncio.to_thread(server.json, "account", "show", "acme")
        received = peer.received
        await peer.close()
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)

    assert 0 < received <= 65_535
    assert sent < SENT_MAX
    assert kept < KEPT_MAX
    assert "acme" in str(others)


class EndlessEngine(FakeEngine):
    """Has events without end, and counts the pages that were taken."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = 0

    async def watch_events(self, query: object) -> AsyncGenerator[EventPage]:
        while True:
            self.pages += 1
            events = tuple(
                Event(n, n, "acme", "low", AlertSubject.REMAINING, "", 1, False, 1, 0, 0, 0, 1)
                for n in range(self.pages * 100, self.pages * 100 + 100)
            )
            yield EventPage(events, 0, events[-1].position)
            await asyncio.sleep(0)


async def test_events_that_are_not_read_are_not_made() -> None:
    fake = EndlessEngine()
    server = Server(fake.engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    peer = await SlowReader.call(f"127.0.0.1:{port}", WATCH)
    request = events_pb2.WatchEventsRequest().SerializeToString()

    await peer.send([request], patience_s=PATIENCE_S)
    await peer.end_requests()
    await until(lambda: peer.received > 60_000)
    taken = fake.pages
    for _ in range(10):
        await asyncio.sleep(0.1)
    later = fake.pages

    await peer.close()
    await server.stop(0)
    assert later - taken < 50  # what is still filled are buffers of a bounded size
    assert later < 200
