"""What breaks a law of deliveries is found, and named by its webhook."""

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import LedgerBuilder
from tests.support.unlocked import unlock
from tollkeeper.core.account import shard_of
from tollkeeper.core.webhooks.commands import CreateWebhook, create
from tollkeeper.core.webhooks.deliveries import Delivery, DeliveryState
from tollkeeper.engine.webhooks.message import new_secret
from tollkeeper.storage.reader import SqlReader
from tollkeeper.storage.schema.tables import event, event_position, webhook, webhook_delivery
from tollkeeper.storage.webhooks.rows import webhook_row

WEBHOOK = 0x1A2B
EVENTS = 3


@pytest.fixture
def ledger(engine: Engine) -> Engine:
    """Three events, of which one is on its way, one waits and one is dead."""
    builder = LedgerBuilder()
    builder.account("acme")
    key = builder.accounts["acme"].key
    made = create(
        CreateWebhook("w", "https://receiver.example"),
        webhook_id=WEBHOOK,
        secret=new_secret(b"k" * 24),
        position=EVENTS,
        now_us=1,
    )
    with engine.begin() as connection:
        builder.save(connection)
        connection.execute(event.insert(), [event_row(key, n) for n in range(1, EVENTS + 1)])
        connection.execute(event_position.update().values(last=EVENTS))
        connection.execute(webhook.insert().values(webhook_row(made)))
        for position, state, due_us, lease in ((1, 1, 9, 7), (2, 1, 9, 0), (3, 2, 0, 0)):
            delivery = Delivery(WEBHOOK, position, DeliveryState(state), 1, due_us, lease, 1, 1)
            connection.execute(webhook_delivery.insert().values(delivery._asdict()))
    return engine


def event_row(account_key: int, number: int) -> dict[str, object]:
    return {
        "shard": shard_of(account_key),
        "account_key": account_key,
        "rule_id": number,
        "period": 0,
        "event_id": number,
        "rule": "half",
        "subject": 1,
        "limit_name": "",
        "threshold": 50,
        "percent": True,
        "value": 50,
        "base": 100,
        "window_end_us": 0,
        "created_us": number,
        "position": number,
    }


def findings(engine: Engine) -> list[str]:
    """What is wrong with the webhook, in words."""
    found = SqlReader(engine).verify(overdue_tolerance_us=0)
    return [each.message for each in found if each.account_id == f"webhook {WEBHOOK:x}"]


def test_deliveries_that_are_on_their_way_wait_or_are_dead_are_in_order(ledger: Engine) -> None:
    assert findings(ledger) == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM webhook", 3 * ["has a delivery of position {} and is not there"]),
        (
            "UPDATE webhook_delivery SET position = 9 WHERE position = 2",
            [
                "has a delivery that is not dead of position 9, which no event has",
                "has a delivery of position 9, but has taken events up to 3 only",
            ],
        ),
        (
            "UPDATE webhook_delivery SET due_us = 0 WHERE position = 2",
            ["has a delivery of position 2 that waits without a next attempt"],
        ),
        (
            "UPDATE webhook_delivery SET lease = 5 WHERE position = 3",
            ["has a delivery of position 3 that is dead and on its way"],
        ),
        (
            "UPDATE webhook_delivery SET state = 3 WHERE position = 3",
            ["has a delivery of position 3 in state 3, which there is not"],
        ),
        ("UPDATE webhook SET position = 4", ["has taken events up to 4, but the last is 3"]),
        ("UPDATE webhook SET secret = ''", ["has no secret, or no url"]),
    ],
)
def test_what_is_wrong_is_found(ledger: Engine, statement: str, found: list[str]) -> None:
    with ledger.begin() as connection:
        connection.execute(text(statement))

    assert sorted(findings(ledger)) == sorted(
        each.format(position) for position, each in enumerate(found, 1)
    )


def test_a_dead_delivery_may_outlive_its_event(ledger: Engine) -> None:
    with ledger.begin() as connection:
        unlock(connection)
        connection.execute(text("DELETE FROM event WHERE position = 3"))

    assert findings(ledger) == []
