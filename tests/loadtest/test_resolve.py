"""Answers that are lost after their calls were carried out: each is found out by its own key, and counted once."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import pytest

from tests.loadtest.settings import settings
from tests.support.thorough import thorough
from tollkeeper.cli.client import connect
from tollkeeper_loadtest import prepare
from tollkeeper_loadtest.checking import audit
from tollkeeper_loadtest.sending.generator import Generator
from tollkeeper_loadtest.sending.grpc_transports import Connections, UnaryCalls
from tollkeeper_loadtest.sending.messages import Phase
from tollkeeper_loadtest.sending.resolve import resolve
from tollkeeper_loadtest.sending.transport import Answer, Failed, Transport
from tollkeeper_loadtest.settings import parse_mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.processes import Serving
    from tollkeeper_loadtest.checking.tally import Tally
    from tollkeeper_loadtest.operations import Operation
    from tollkeeper_loadtest.settings import LoadSettings

pytestmark = thorough

REQUESTS = 90
AT_ONCE = Phase(0.0, 60.0, None, 0.0, 8, REQUESTS)


class Losing:
    """Has everything carried out, and loses every third answer on its way back."""

    def __init__(self, calls: Transport) -> None:
        self._calls = calls
        self.repeats = calls.repeats
        self._number = itertools.count()
        self.lost = 0

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        return [self._received(answer) for answer in await self._calls.carry_out(operations)]

    async def close(self) -> None:
        await self._calls.close()

    def _received(self, answer: Answer) -> Answer:
        if next(self._number) % 3:
            return answer
        self.lost += 1
        return Failed("DEADLINE_EXCEEDED", "lost")


@pytest.mark.parametrize("credits", [10**6, 60])
def test_a_lost_answer_is_found_out_and_counted_once(server: Serving, credits: int) -> None:
    with connect(server.address) as ledger:
        endpoints, version = prepare.endpoints_in_force(ledger, [])
        run = settings(
            run=f"lost{credits}",
            credits=credits,
            expired=0.0,
            mix=parse_mix("200=6,404=2,release=2"),
            accounts=5,
        ).priced(endpoints, version)
        prepare.open_accounts(ledger, run, lambda: None)

        tally, lost = asyncio.run(load_and_lose(server.address, run))

        checking = audit.Audit(ledger, time.time())
        every = audit.expected_of(run, tally)
        assert audit.audit_accounts(checking, every, run.prefix, lambda: None) == []
    assert tally.unexpected == []
    assert (tally.resolved, tally.unresolved) == (lost, 0)
    assert sum(each.total("charged") for each in every) > 0
    assert (sum(each.total("denied") for each in every) > 0) == (credits == 60)


async def load_and_lose(address: str, run: LoadSettings) -> tuple[Tally, int]:
    connections = Connections(address, run)
    calls = UnaryCalls(connections.stubs, run.timeout_s)
    losing = Losing(calls)
    generator = Generator(0, run, losing)
    begin = AT_ONCE._replace(start_s=time.monotonic())
    figures = await generator.carry_out(begin, lambda _: None)
    assert figures.errors == {"DEADLINE_EXCEEDED": losing.lost}
    assert len(generator.open) == losing.lost
    await resolve(generator.open, generator.checker, calls, within_s=30)
    await connections.close()
    return generator.checker.tally, losing.lost
