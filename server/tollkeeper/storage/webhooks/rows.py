"""Webhooks and their deliveries: rows into values and back, and the reads of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, literal_column, select, tuple_

from tollkeeper.core.webhooks.commands import DeliveryPage, DeliveryView, WebhookPage, WebhookView
from tollkeeper.core.webhooks.deliveries import (
    Delivery,
    DeliveryState,
    PauseCause,
    Secrets,
    Webhook,
    WebhookState,
)
from tollkeeper.engine.webhook_ports import Work
from tollkeeper.storage.read.events import last_position, load_events_at
from tollkeeper.storage.schema.tables import webhook, webhook_delivery

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from tollkeeper.core.webhooks.commands import ListDeliveries, ListWebhooks

_PENDING: ColumnElement[int] = literal_column("1")
"""As the partial indexes say it, so that a planner without the value knows them to fit."""
_DEAD: ColumnElement[int] = literal_column("2")


def webhook_of(row: Row[Any]) -> Webhook:
    """Read a webhook."""
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        account_id=row.account_id,
        prefix=row.prefix,
        description=row.description,
        state=WebhookState(row.state),
        pause_cause=PauseCause(row.pause_cause),
        position=row.position,
        created_us=row.created_us,
        secrets=Secrets(row.secret, row.secret_version, row.previous_secret, row.previous_until_us),
        delivered=row.delivered,
        last_success_us=row.last_success_us,
        last_failure_us=row.last_failure_us,
        last_failure=row.last_failure,
    )


def webhook_row(value: Webhook) -> dict[str, Any]:
    """Return the columns of a webhook."""
    return {
        "webhook_id": value.webhook_id,
        "url": value.url,
        "account_id": value.account_id,
        "prefix": value.prefix,
        "description": value.description,
        "state": int(value.state),
        "pause_cause": int(value.pause_cause),
        "position": value.position,
        "created_us": value.created_us,
        "secret": value.secrets.current,
        "secret_version": value.secrets.version,
        "previous_secret": value.secrets.previous,
        "previous_until_us": value.secrets.previous_until_us,
        "delivered": value.delivered,
        "last_success_us": value.last_success_us,
        "last_failure_us": value.last_failure_us,
        "last_failure": value.last_failure,
    }


def delivery_of(row: Row[Any]) -> Delivery:
    """Read a delivery."""
    return Delivery(
        webhook_id=row.webhook_id,
        position=row.position,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        due_us=row.due_us,
        lease=row.lease,
        since_us=row.since_us,
        created_us=row.created_us,
        attempted_us=row.attempted_us,
        http_status=row.http_status,
        error=row.error,
    )


def is_pending(webhook_id: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a number or a column
    """Pick the deliveries of a webhook that are not dead."""
    delivery = webhook_delivery.c
    return (delivery.webhook_id == webhook_id) & (delivery.state == _PENDING)


def is_dead(webhook_id: Any) -> ColumnElement[bool]:  # noqa: ANN401 - likewise
    """Pick those that are."""
    delivery = webhook_delivery.c
    return (delivery.webhook_id == webhook_id) & (delivery.state == _DEAD)


def count_pending(connection: Connection, webhook_id: int) -> int:
    """Count the deliveries of a webhook that are not dead."""
    return connection.execute(_count(is_pending(webhook_id))).scalar_one()


def view_of(connection: Connection, value: Webhook) -> WebhookView:
    """Return a webhook with how many of its deliveries wait or are dead."""
    dead = connection.execute(_count(is_dead(value.webhook_id))).scalar_one()
    return WebhookView(value, count_pending(connection, value.webhook_id), dead)


def _count(which: ColumnElement[bool]) -> Any:  # noqa: ANN401 - a statement of one number
    return select(func.count()).select_from(webhook_delivery).where(which)


def load_webhook(connection: Connection, webhook_id: int) -> Webhook | None:
    """Return one webhook."""
    rows = connection.execute(
        select(webhook).where(webhook.c.webhook_id == webhook_id)
    ).one_or_none()
    return None if rows is None else webhook_of(rows)


def load_work(connection: Connection, *, now_us: int, pending_max: int) -> list[Work]:
    """Return the active webhooks that have something to do."""
    own = webhook.c.webhook_id
    rows = connection.execute(
        select(
            own,
            webhook.c.position,
            _count(is_pending(own)).scalar_subquery().label("pending"),
            exists().where(is_pending(own), webhook_delivery.c.due_us <= now_us).label("due"),
        )
        .where(webhook.c.state == int(WebhookState.ACTIVE))
        .order_by(own)
    ).all()
    if not rows:
        return []
    newest = last_position(connection)
    work = [
        Work(row.webhook_id, row.position < newest and row.pending < pending_max, bool(row.due))
        for row in rows
    ]
    return [each for each in work if each.new_events or each.due]


def load_webhooks(connection: Connection, query: ListWebhooks) -> WebhookPage:
    """Return a page of webhooks."""
    rows = connection.execute(
        select(webhook)
        .where(webhook.c.webhook_id > query.after)
        .order_by(webhook.c.webhook_id)
        .limit(query.page_size + 1)
    ).all()
    views = tuple(view_of(connection, webhook_of(row)) for row in rows[: query.page_size])
    return WebhookPage(views, views[-1].webhook.webhook_id if len(rows) > len(views) else 0)


def load_deliveries(connection: Connection, query: ListDeliveries) -> DeliveryPage:
    """Return a page of deliveries, each with its event."""
    delivery = webhook_delivery.c
    wanted: list[ColumnElement[bool]] = [
        tuple_(delivery.webhook_id, delivery.position) > tuple_(*query.after)
    ]
    if query.webhook_id is not None:
        wanted.append(delivery.webhook_id == query.webhook_id)
    if query.state is not None:
        wanted.append(delivery.state == (_DEAD if query.state is DeliveryState.DEAD else _PENDING))
    rows = connection.execute(
        select(webhook_delivery)
        .where(*wanted)
        .order_by(delivery.webhook_id, delivery.position)
        .limit(query.page_size + 1)
    ).all()
    shown = [delivery_of(row) for row in rows[: query.page_size]]
    events = load_events_at(connection, {each.position for each in shown})
    views = tuple(DeliveryView(each, events.get(each.position)) for each in shown)
    last = (shown[-1].webhook_id, shown[-1].position) if len(rows) > len(shown) else None
    return DeliveryPage(views, last)
