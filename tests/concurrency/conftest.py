"""Real servers, as processes of their own, and 64 connections to them: once for each way to run them."""

from __future__ import annotations

import contextlib
import itertools
import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import serving
from tests.concurrency.gateways import Deployment
from tests.support.ledger_fixtures import ledger_template, pooler
from tests.support.ledgers import POOLED, Ledger, fill, new_ledger
from tests.support.postgres import database_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from tests.concurrency.gateways import Gateways

__all__ = ["ledger_template", "pooler"]

SERVERS = {"sqlite": 1, "two servers on postgres": 2, "two servers behind a pooler": 2}
MARKS = {
    "sqlite": [],
    "two servers on postgres": [pytest.mark.postgres],
    "two servers behind a pooler": [pytest.mark.postgres, pytest.mark.thorough],
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(each, marks=MARKS[each]) for each in SERVERS],
)
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Deployment]:
    """Servers of one ledger. Tests share them, and have accounts of their own."""
    folder = tmp_path_factory.mktemp("servers")
    if request.param == "sqlite":
        ledger = new_ledger(f"sqlite:///{folder / 'ledger.db'}")
    else:
        postgres = request.getfixturevalue("postgres")
        template = request.getfixturevalue("ledger_template")
        ledger = Ledger(postgres.create_database(template=template))
        if request.param == "two servers behind a pooler":
            begin: str = request.getfixturevalue("pooler")
            ledger = Ledger(f"{begin}{database_name(ledger.url)}{POOLED}")
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(serving(folder, "--log-level", "error", database=ledger.url))
            for _ in range(SERVERS[request.param])
        ]
        yield Deployment(ledger, [server.address for server in servers], itertools.count(1))
        for server in servers:
            server.process.send_signal(signal.SIGTERM)
        ended = [server.wait() for server in servers]
    assert [(each.code, each.err) for each in ended] == [(0, "")] * len(ended)


@pytest.fixture
async def gateways(deployment: Deployment) -> AsyncGenerator[Gateways]:
    """64 gateways, each with a connection of its own, and a new account with 500 credits."""
    account_id = f"account-{next(deployment.numbers)}"
    async with deployment.ledger.engine() as engine:
        await fill(engine, account_id)
    async with deployment.connected(account_id) as gateways:
        yield gateways
    assert deployment.ledger.findings() == []
