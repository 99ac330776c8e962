"""What can be asked of webhooks, what a call's key stands for, and what is answered.

Every value is valid by the time it is here (see `webhook_fields.py`). A record of a call keeps a secret's digest, not
the secret.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from tollkeeper.core.administer import AdminRecord, check_content, digest_of
from tollkeeper.core.alerts.events import Event
from tollkeeper.core.commands import Content
from tollkeeper.core.webhooks.deliveries import (
    Answer,
    Delivery,
    DeliveryState,
    PauseCause,
    Secrets,
    Webhook,
    WebhookState,
    event_name,
    webhook_name,
)


@dataclass(frozen=True, slots=True)
class CreateWebhook:
    """Deliver the events that come from now on. `secret` is None where the server makes one."""

    request_id: str
    url: str
    account_id: str = ""
    prefix: str = ""
    description: str = ""
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class UpdateWebhook:
    """Change what is not None."""

    webhook_id: int
    request_id: str
    url: str | None = None
    description: str | None = None
    state: WebhookState | None = None


@dataclass(frozen=True, slots=True)
class RotateWebhookSecret:
    """Sign with another secret, and with the one so far for `overlap_us` more; None as in CreateWebhook."""

    webhook_id: int
    request_id: str
    overlap_us: int
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DeleteWebhook:
    """End a webhook."""

    webhook_id: int
    request_id: str


@dataclass(frozen=True, slots=True)
class RetryWebhookDeliveries:
    """Make deliveries due now: those of some events, or (None) all that are dead or wait."""

    webhook_id: int
    request_id: str
    event_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ListWebhooks:
    """Read webhooks in the order of their creation, beginning after `after`."""

    page_size: int
    after: int = 0


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """Read deliveries by webhook and position, beginning after `after`; None for any webhook or state."""

    page_size: int
    webhook_id: int | None = None
    state: DeliveryState | None = None
    after: tuple[int, int] = (0, 0)


WebhookCommand = (
    CreateWebhook | UpdateWebhook | RotateWebhookSecret | DeleteWebhook | RetryWebhookDeliveries
)


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook, and how many of its deliveries wait or are dead."""

    webhook: Webhook
    pending: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class SecretShown:
    """A webhook with the secret that a call gave it; empty where that is no longer in use."""

    view: WebhookView
    secret: str = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Retried:
    """How many deliveries a call made due."""

    deliveries: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Tested:
    """What a receiver said to a ping, and how long that took."""

    answer: Answer
    duration_us: int


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery and its event; None where that is no longer there."""

    delivery: Delivery
    event: Event | None


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """Webhooks; `next_after` is 0 on the last page."""

    webhooks: tuple[WebhookView, ...]
    next_after: int


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Deliveries; `next_after` is None on the last page."""

    deliveries: tuple[DeliveryView, ...]
    next_after: tuple[int, int] | None


def content_of(command: WebhookCommand) -> Content:
    """Return the fields that matter, by their names in the proto and in its order."""
    match command:
        case CreateWebhook():
            return {
                "url": command.url,
                "account_id": command.account_id,
                "account_prefix": command.prefix,
                "description": command.description,
                "secret": _digest(command.secret),
            }
        case UpdateWebhook():
            return {
                "webhook_id": webhook_name(command.webhook_id),
                "url": command.url,
                "description": command.description,
                "state": command.state,
            }
        case RotateWebhookSecret():
            return {
                "webhook_id": webhook_name(command.webhook_id),
                "secret": _digest(command.secret),
                "overlap": command.overlap_us,
            }
        case DeleteWebhook():
            return {"webhook_id": webhook_name(command.webhook_id)}
        case RetryWebhookDeliveries():
            return {
                "webhook_id": webhook_name(command.webhook_id),
                "event_ids": _event_ids(command.event_ids),
            }


def check_repeat(record: AdminRecord, command: WebhookCommand) -> None:
    """Raise Refused unless `command` is the call that the record is of."""
    check_content(record, type(command).__name__, command.request_id, content_of(command))


def record_of(command: WebhookCommand, **result: int) -> AdminRecord:
    """Return the record of a first call."""
    return AdminRecord(
        digest_of(command.request_id), type(command).__name__, content_of(command), result
    )


def create(
    command: CreateWebhook, *, webhook_id: int, secret: str, position: int, now_us: int
) -> Webhook:
    """Return a new webhook, which is told of the events after `position`."""
    return Webhook(
        webhook_id=webhook_id,
        url=command.url,
        account_id=command.account_id,
        prefix=command.prefix,
        description=command.description,
        state=WebhookState.ACTIVE,
        pause_cause=PauseCause.NONE,
        position=position,
        created_us=now_us,
        secrets=Secrets(secret),
    )


def update(webhook: Webhook, command: UpdateWebhook) -> Webhook:
    """Return the webhook with what the command sets."""
    changed = dataclasses.replace(
        webhook,
        url=webhook.url if command.url is None else command.url,
        description=webhook.description if command.description is None else command.description,
    )
    match command.state:
        case None:
            return changed
        case WebhookState.ACTIVE:
            cause = PauseCause.NONE
        case WebhookState.PAUSED:
            cause = PauseCause.OPERATOR if webhook.active else webhook.pause_cause
    return dataclasses.replace(changed, state=command.state, pause_cause=cause)


def makes_due(before: Webhook, after: Webhook) -> bool:
    """Say whether what waits should be tried at once: it has somewhere else to go, or may go again."""
    return after.url != before.url or (after.active and not before.active)


def _digest(secret: str | None) -> str | None:
    return None if secret is None else blake2b(secret.encode(), digest_size=16).hexdigest()


def _event_ids(event_ids: Sequence[int] | None) -> str | None:
    return None if event_ids is None else ",".join(map(event_name, event_ids))
