"""What waits in a ledger, for metrics: a handful of numbers, none of which reads a table that grows with time.

Open holds are counted one by one: their table has no others. Everything else is found at the beginning of an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from tollkeeper.core.account import SHARDS
from tollkeeper.core.webhooks.deliveries import DeliveryState, WebhookState
from tollkeeper.engine.counts import Backlog
from tollkeeper.storage.schema.tables import event, hold, webhook, webhook_delivery

if TYPE_CHECKING:
    from sqlalchemy import Connection

_OF_SHARDS = " UNION ALL ".join(
    f"SELECT (SELECT min(expires_us) FROM hold WHERE shard = {shard}) AS first_us"
    for shard in range(SHARDS)
)
_FIRST_DEADLINE = text(f"SELECT min(first_us) FROM ({_OF_SHARDS}) of_shards")
"""One look at the key of `hold` for each shard."""

_HOLDS = select(func.count()).select_from(hold)
_OLDEST_EVENT = select(func.min(event.c.created_us)).where(event.c.position.is_(None))
_DUE = (
    select(func.count())
    .select_from(webhook_delivery)
    .join(webhook, webhook.c.webhook_id == webhook_delivery.c.webhook_id)
    .where(
        webhook.c.state == int(WebhookState.ACTIVE),
        webhook_delivery.c.state == int(DeliveryState.PENDING),
    )
)
_DEAD = (
    select(func.count())
    .select_from(webhook_delivery)
    .where(webhook_delivery.c.state == int(DeliveryState.DEAD))
)


def load_backlog(connection: Connection, now_us: int) -> Backlog:
    """Return what waits at `now_us`. Deliveries to a webhook that is paused are not due."""
    return Backlog(
        now_us=now_us,
        holds_open=connection.execute(_HOLDS).scalar_one(),
        oldest_deadline_us=connection.execute(_FIRST_DEADLINE).scalar(),
        oldest_event_us=connection.execute(_OLDEST_EVENT).scalar(),
        deliveries_due=connection.execute(
            _DUE.where(webhook_delivery.c.due_us <= now_us)
        ).scalar_one(),
        deliveries_dead=connection.execute(_DEAD).scalar_one(),
    )
