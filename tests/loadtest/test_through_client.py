"""A load through the Python client, which repeats by itself: what it repeats is known, and counted once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.clients.line import line_to
from tests.loadtest.settings import settings
from tests.support.thorough import thorough
from tests.support.waiting import until
from tollkeeper.cli.client import connect
from tollkeeper_loadtest import prepare
from tollkeeper_loadtest.checking import audit
from tollkeeper_loadtest.measuring.figures import Figures
from tollkeeper_loadtest.sending.generator import Generator
from tollkeeper_loadtest.sending.grpc_transports import Connections
from tollkeeper_loadtest.sending.messages import Phase
from tollkeeper_loadtest.sending.modes import transport_of
from tollkeeper_loadtest.settings import Mode, parse_mix

if TYPE_CHECKING:
    from tests.cli.processes import Serving
    from tests.clients.line import Line
    from tollkeeper_loadtest.checking.tally import Tally
    from tollkeeper_loadtest.settings import LoadSettings

REQUESTS = 400
AT_ONCE = Phase(0.0, 60.0, None, 0.0, 8, REQUESTS)
CUTS = 6


@thorough
@pytest.mark.parametrize("credits", [10**6, 60])
def test_an_answer_that_was_lost_and_repeated_by_the_client_is_counted_once(
    server: Serving, credits: int
) -> None:
    with connect(server.address) as ledger:
        endpoints, version = prepare.endpoints_in_force(ledger, [])
        run = settings(
            run=f"cut{credits}",
            mode=Mode.CLIENT,
            credits=credits,
            mix=parse_mix("200=6,404=2,release=2"),
            expired=0.0,
            accounts=5,
            timeout_s=30.0,
        ).priced(endpoints, version)
        prepare.open_accounts(ledger, run, lambda: None)

        figures, tally = asyncio.run(load_over_a_line_that_is_cut(server.address, run))

        checking = audit.Audit(ledger, time.time())
        every = audit.expected_of(run, tally)
        assert audit.audit_accounts(checking, every, run.prefix, lambda: None) == []
    assert figures.errors == {}
    assert figures.repeats.total() >= CUTS
    assert tally.unexpected == []
    # Where answers were lost, how many denials were counted has bounds, and no more than were lost apart.
    lost = tally.lost_answers.total()
    assert 0 < lost <= figures.repeats.total()
    assert (sum(each.total("denied") for each in every) > 0) == (credits == 60)
    assert sum(each.denied_most - each.total("denied") for each in every) == lost


async def load_over_a_line_that_is_cut(address: str, run: LoadSettings) -> tuple[Figures, Tally]:
    async with line_to(address) as line:
        connections = Connections(line.address, run)
        clients = transport_of(connections, run)
        generator = Generator(0, run, clients)
        cutting = asyncio.create_task(cut_now_and_then(line))
        figures = await generator.carry_out(
            AT_ONCE._replace(start_s=time.monotonic()), lambda _: None
        )
        cutting.cancel()
        await clients.close()
        await connections.close()
    assert generator.open == []
    return figures, generator.checker.tally


async def cut_now_and_then(line: Line) -> None:
    for cuts in range(CUTS):
        line.cut_answers()
        await until(lambda passed=cuts: line.cuts > passed, timeout_s=30)
