"""The beginning of a period, with many callers of several servers, and their sweepers, waiting for it."""

import time

import pytest

from tests.concurrency.gateways import CONNECTIONS, Gateways, at_once, granted
from tests.support.ledgers import HELD
from tests.support.thorough import thorough
from tollkeeper.core.recurring.recurring_grants import Origin, id_of
from tollkeeper.v1 import ledger_pb2

pytestmark = pytest.mark.slow

BEGINS_IN_US = 1_500_000
ASKED_FOR_S = 2.5
GRANTS = (
    "SELECT g.grant_id, g.credits, g.held FROM credit_grant g JOIN account a ON a.key = g.account_key "
    "WHERE a.account_id = :account_id ORDER BY g.grant_id"
)
GRANTED = (
    "SELECT count(*) FROM entry e JOIN account a ON a.key = e.account_key "
    "WHERE a.account_id = :account_id AND e.kind = 1 AND e.grant_id = :grant_id"
)


@thorough
async def test_a_period_that_all_have_waited_for_is_granted_once(gateways: Gateways) -> None:
    """500 credits are held; then everyone asks for 10 until well after 100 more have come."""
    ledger, account_id = gateways.ledger, gateways.account_id
    await gateways.hold(50)
    anchor_us = time.time_ns() // 1_000 + BEGINS_IN_US
    recurring = await gateways.recur(anchor_us, credits=100)
    assert recurring.next_time.ToMicroseconds() == anchor_us
    until = time.monotonic() + ASKED_FOR_S

    async def ask(number: int) -> list[ledger_pb2.AuthorizeResponse]:
        answers: list[ledger_pb2.AuthorizeResponse] = []
        while time.monotonic() < until:
            answers.append(await gateways.authorize(number, f"r-{number}-{len(answers)}"))
        return answers

    answers = [each for many in await at_once(map(ask, range(CONNECTIONS))) for each in many]

    assert len(granted(answers)) == 10
    assert await gateways.available() == 0
    period = id_of(Origin(1, 0, rolled_over=False))
    rows = ledger.rows(GRANTS, account_id=account_id)
    assert rows[0] == (period, 100, 100)
    assert len(rows) == 2
    assert ledger.number(GRANTED, account_id=account_id, grant_id=period) == 1
    assert ledger.states(account_id) == {HELD: 60}
