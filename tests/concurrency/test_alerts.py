"""Alert rules met by many at the same moment, and watchers that are cut and go on: no event twice, none missed."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
import pytest

from tests.concurrency.gateways import CALL_S, Deployment, Gateways, at_once
from tests.support.ledgers import CHARGE
from tests.support.thorough import thorough
from tollkeeper.v1 import admin_pb2, events_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub

pytestmark = pytest.mark.slow

COMMITS = 1_000
RULES = (
    {"name": "much", "subject": 1, "threshold": 5_000, "window": 6},
    {"name": "half", "subject": 1, "threshold": 50, "percent": True, "window": 6},
    {"name": "low", "subject": 2, "threshold": 3_000},
    {"name": "little", "subject": 2, "threshold": 10, "percent": True, "window": 4},
    {"name": "never", "subject": 2, "threshold": 0},
)
EVENTS = (
    "SELECT e.rule, e.position, e.event_id FROM event e JOIN account a ON a.key = e.account_key "
    "WHERE a.account_id LIKE :accounts ORDER BY e.position"
)


def alerts(*rules: dict[str, Any]) -> events_pb2.AlertSet:
    return events_pb2.AlertSet(rules=[events_pb2.AlertRule(**rule) for rule in rules])


async def collect(address: str, count: int, *, cut_after: int, **query: Any) -> list[str]:
    """Watch until so many events have come; let the stream be cut after every few, and go on from its cursor."""
    found: list[str] = []
    cursor = ""
    while len(found) < count:
        async with grpc.aio.insecure_channel(address) as channel:
            request = events_pb2.WatchEventsRequest(cursor=cursor, **query)
            watching: Any = AdminServiceStub(channel).WatchEvents(request)
            await watching.read()
            for _ in range(min(cut_after, count - len(found))):
                answer = await watching.read()
                found.append(answer.event.event_id)
                cursor = answer.cursor
            watching.cancel()
    return found


@thorough
async def test_of_a_thousand_commits_at_once_one_meets_each_rule(
    deployment: Deployment, gateways: Gateways
) -> None:
    ledger, account_id = gateways.ledger, gateways.account_id
    await gateways.grant(0, f"{account_id}-more", 10 * COMMITS - 500)
    await gateways.alert(alerts(*RULES))
    holds = await gateways.hold(COMMITS)
    watchers = [
        asyncio.create_task(collect(address, 4, cut_after=3, account_id=account_id))
        for address in deployment.addresses
    ]

    settled = await at_once(gateways.commit(n, holds[n]) for n in range(COMMITS))

    told = await asyncio.wait_for(asyncio.gather(*watchers), CALL_S)
    assert sum(not answer.replayed for answer in settled) == COMMITS
    assert ledger.entries(account_id)[CHARGE] == (COMMITS, -10 * COMMITS)
    events = ledger.rows(EVENTS, accounts=account_id)
    # The last credit is gone with the last commit, which is another change than those before.
    assert [rule for rule, *_ in events] == ["much", "half", "low", "little", "never"]
    in_order = [f"{event_id:x}" for _, _, event_id in events]
    assert told == [in_order[:4]] * len(watchers)


@thorough
async def test_a_cursor_misses_nothing_of_what_many_write_at_once(
    deployment: Deployment, gateways: Gateways
) -> None:
    """Accounts of every lane and both servers meet rules while readers go on from cursor to cursor."""
    prefix = f"{gateways.account_id}-of-"
    names = [f"{prefix}{number}" for number in range(300)]
    rules = alerts(*({"name": f"low-{n}", "subject": 2, "threshold": n} for n in range(2)))
    readers = [
        asyncio.create_task(collect(address, 2 * len(names), cut_after=7, prefix=prefix))
        for address in deployment.addresses
    ]

    async def open_and_change(number: int) -> None:
        await gateways.call(
            number,
            "CreateAccount",
            admin_pb2.CreateAccountRequest(
                account_id=names[number], request_id=names[number], alerts=rules
            ),
        )
        await gateways.call(
            number + 1,  # the other server's
            "UpdateAccount",
            admin_pb2.UpdateAccountRequest(
                account_id=names[number], request_id=f"{names[number]}-name", display_name="x"
            ),
        )

    await at_once(open_and_change(number) for number in range(len(names)))

    told = await asyncio.wait_for(asyncio.gather(*readers), CALL_S)
    events = gateways.ledger.rows(EVENTS, accounts=f"{prefix}%")
    assert len(events) == 2 * len(names)
    assert told == [[f"{event_id:x}" for _, _, event_id in events]] * len(readers)
