"""Webhooks in SQLite or PostgreSQL, on connections of their own.

A lane never waits for what these do but, on SQLite, for the one writer's lock: there a transaction begins
IMMEDIATE, writes a few rows and is over. On PostgreSQL it locks webhooks in the order of their ids and passes over
deliveries that another server is taking, so no two have one at a time.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, update

from tollkeeper.core.commands import ListEvents
from tollkeeper.core.webhooks.deliveries import Delivery, DeliveryState
from tollkeeper.engine.webhook_ports import Claimed, Work
from tollkeeper.storage.connections.engines import (
    begin_past_lanes,
    create_cold_engine,
    dated_snapshot,
)
from tollkeeper.storage.read.events import last_position, load_events, load_events_at
from tollkeeper.storage.rows.admin_books import SqlBooks
from tollkeeper.storage.schema import tables
from tollkeeper.storage.schema.tables import event, webhook, webhook_delivery
from tollkeeper.storage.webhooks.rows import (
    count_pending,
    delivery_of,
    is_dead,
    is_pending,
    load_deliveries,
    load_webhook,
    load_webhooks,
    load_work,
    view_of,
    webhook_of,
    webhook_row,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from sqlalchemy import ColumnElement

    from tollkeeper.core.answers.views import EventPage
    from tollkeeper.core.webhooks.commands import (
        DeliveryPage,
        ListDeliveries,
        ListWebhooks,
        WebhookPage,
        WebhookView,
    )
    from tollkeeper.core.webhooks.deliveries import Webhook
    from tollkeeper.engine.ports import Clock
    from tollkeeper.storage.connections.answer_watch import AnswerWatch
    from tollkeeper.storage.connections.ledger_files import LedgerFiles


class SqlWebhooks:
    """See `webhook_ports.WebhookStore`."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        watch: AnswerWatch | None = None,
        files: LedgerFiles | None = None,
    ) -> None:
        self._engine = create_cold_engine(url, watch=watch, files=files)
        self._clock = clock

    @contextmanager
    def transaction(self) -> Generator[SqlWebhookTransaction]:
        """Open a transaction."""
        with begin_past_lanes(self._engine, self._clock) as (connection, now):
            yield SqlWebhookTransaction(connection, now)

    def work(self, *, pending_max: int) -> list[Work]:
        """Return the active webhooks that have something to do."""
        with dated_snapshot(self._engine, self._clock) as (connection, now):
            return load_work(connection, now_us=now, pending_max=pending_max)

    def webhook(self, webhook_id: int) -> tuple[Webhook, int] | None:
        """Return one webhook and the time."""
        with dated_snapshot(self._engine, self._clock) as (connection, now):
            found = load_webhook(connection, webhook_id)
            return None if found is None else (found, now)

    def webhooks(self, query: ListWebhooks) -> WebhookPage:
        """Return a page of webhooks."""
        with dated_snapshot(self._engine, self._clock) as (connection, _):
            return load_webhooks(connection, query)

    def deliveries(self, query: ListDeliveries) -> DeliveryPage:
        """Return a page of what is not delivered."""
        with dated_snapshot(self._engine, self._clock) as (connection, _):
            return load_deliveries(connection, query)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


class SqlWebhookTransaction(SqlBooks):
    """See `webhook_ports.WebhookTransaction`."""

    # What operators do

    def insert(self, webhook: Webhook) -> None:
        """Write a new webhook."""
        self._connection.execute(insert(tables.webhook).values(webhook_row(webhook)))

    def delete(self, webhook_id: int) -> None:
        """Remove a webhook and its deliveries."""
        for table in (webhook_delivery, tables.webhook):
            self._connection.execute(delete(table).where(table.c.webhook_id == webhook_id))

    def view(self, webhook: Webhook) -> WebhookView:
        """Return a webhook with how many of its deliveries wait or are dead."""
        return view_of(self._connection, webhook)

    def make_due(self, webhook_id: int, event_ids: Sequence[int] | None, *, dead: bool) -> int:
        """Make deliveries due now that wait and, with `dead`, those that are dead."""
        column = webhook_delivery.c
        among: list[ColumnElement[bool]] = []
        if event_ids is not None:
            of_them = select(event.c.position).where(
                event.c.event_id.in_(event_ids), event.c.position.is_not(None)
            )
            among.append(column.position.in_(of_them))
        waiting = update(webhook_delivery).where(
            is_pending(webhook_id), column.lease == 0, column.due_us > self.now_us, *among
        )
        count = self._connection.execute(waiting.values(due_us=self.now_us)).rowcount
        if dead:
            revived = update(webhook_delivery).where(is_dead(webhook_id), *among)
            count += self._connection.execute(
                revived.values(
                    state=int(DeliveryState.PENDING),
                    attempts=0,
                    due_us=self.now_us,
                    since_us=self.now_us,
                )
            ).rowcount
        return count

    # What both do

    def lock(self, webhook_ids: Sequence[int]) -> dict[int, Webhook]:
        """Lock webhooks in the order of their ids, and return those that are there."""
        rows = self._connection.execute(
            select(webhook)
            .where(webhook.c.webhook_id.in_(webhook_ids))
            .order_by(webhook.c.webhook_id)
            .with_for_update(key_share=True)
        )
        return {row.webhook_id: webhook_of(row) for row in rows}

    def update(self, webhook: Webhook) -> None:
        """Write a webhook that has changed, and is locked."""
        row = webhook_row(webhook)
        webhook_id = row.pop("webhook_id")
        self._connection.execute(
            update(tables.webhook).where(tables.webhook.c.webhook_id == webhook_id).values(row)
        )

    def last_position(self) -> int:
        """Return the position of the newest event."""
        return last_position(self._connection)

    # What the dispatcher does

    def events_for(self, webhook: Webhook, limit: int) -> EventPage:
        """Return the first events after the webhook's position that it is to be told of."""
        query = ListEvents(
            page_size=limit,
            after=webhook.position,
            account_id=webhook.account_id,
            prefix=webhook.prefix,
        )
        return load_events(self._connection, query)

    def pending(self, webhook_id: int) -> int:
        """Count the deliveries of a webhook that are not dead."""
        return count_pending(self._connection, webhook_id)

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Write new deliveries."""
        if deliveries:
            rows = [each._asdict() for each in deliveries]
            self._connection.execute(insert(webhook_delivery), rows)

    def claim(self, webhook_id: int, limit: int, *, lease: int, lease_us: int) -> list[Claimed]:
        """Take deliveries that are due and that no other server is taking."""
        column = webhook_delivery.c
        rows = self._connection.execute(
            select(webhook_delivery)
            .where(is_pending(webhook_id), column.due_us <= self.now_us)
            .order_by(column.due_us, column.position)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        ours = [
            each._replace(attempts=each.attempts + 1, lease=lease, due_us=self.now_us + lease_us)
            for each in map(delivery_of, rows)
        ]
        self._write(ours)
        events = load_events_at(self._connection, {each.position for each in ours})
        return [Claimed(each, events.get(each.position)) for each in ours]

    def acknowledge(self, webhook_id: int, positions: Collection[int]) -> int:
        """Remove deliveries that were acknowledged, whichever server has them now; return how many were there."""
        if not positions:
            return 0
        column = webhook_delivery.c
        return self._connection.execute(
            delete(webhook_delivery).where(
                column.webhook_id == webhook_id, column.position.in_(positions)
            )
        ).rowcount

    def settle(self, deliveries: Sequence[tuple[Delivery, int]]) -> None:
        """Write what became of deliveries, but for those whose lease is no longer ours."""
        leases = {(each.webhook_id, each.position): lease for each, lease in deliveries}
        self._write([each for each, _ in deliveries], leases)

    def _write(
        self, deliveries: Sequence[Delivery], leases: dict[tuple[int, int], int] | None = None
    ) -> None:
        """Write deliveries that are there; with `leases` only where they still have that one."""
        if not deliveries:
            return
        column = webhook_delivery.c
        held = [] if leases is None else [column.lease == bindparam("held_by")]
        changing = [name for name in Delivery._fields if name not in {"webhook_id", "position"}]
        rows = [
            {
                **{name: getattr(each, name) for name in changing},
                "of_webhook": each.webhook_id,
                "at": each.position,
                **({} if leases is None else {"held_by": leases[each.webhook_id, each.position]}),
            }
            for each in deliveries
        ]
        self._connection.execute(
            update(webhook_delivery)
            .where(
                column.webhook_id == bindparam("of_webhook"),
                column.position == bindparam("at"),
                *held,
            )
            .values({name: bindparam(name) for name in changing}),
            rows,
        )
