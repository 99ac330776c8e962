"""What webhooks need of a store and of HTTP. A store raises only the errors of `ports.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tollkeeper.engine.books import Books

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tollkeeper.core.alerts.events import Event
    from tollkeeper.core.answers.views import EventPage
    from tollkeeper.core.webhooks.commands import (
        DeliveryPage,
        ListDeliveries,
        ListWebhooks,
        WebhookPage,
        WebhookView,
    )
    from tollkeeper.core.webhooks.deliveries import Answer, Delivery, Webhook


class Work(NamedTuple):
    """What an active webhook has to do now: events that it may take up, deliveries that are due."""

    webhook_id: int
    new_events: bool
    due: bool


class Claimed(NamedTuple):
    """A delivery that is ours to send until its lease runs out; `event` is None where that is gone."""

    delivery: Delivery
    event: Event | None


class WebhookTransaction(Books, Protocol):
    """One database transaction: committed when its block ends, rolled back when it raises.

    On PostgreSQL several servers may have one open; what one has locked, the others wait for or pass over.
    """

    def lock(self, webhook_ids: Sequence[int]) -> dict[int, Webhook]:
        """Lock webhooks in the order of their ids, and return those that are there."""
        ...

    def view(self, webhook: Webhook) -> WebhookView:
        """Return a webhook with how many of its deliveries wait or are dead."""
        ...

    def last_position(self) -> int:
        """Return the position of the newest event; 0 where there is none."""
        ...

    def insert(self, webhook: Webhook) -> None:
        """Write a new webhook."""
        ...

    def update(self, webhook: Webhook) -> None:
        """Write a webhook that has changed, and is locked."""
        ...

    def delete(self, webhook_id: int) -> None:
        """Remove a webhook and its deliveries."""
        ...

    def events_for(self, webhook: Webhook, limit: int) -> EventPage:
        """Return the first events after the webhook's position that it is to be told of."""
        ...

    def pending(self, webhook_id: int) -> int:
        """Count the deliveries of a webhook that are not dead."""
        ...

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Write new deliveries."""
        ...

    def claim(self, webhook_id: int, limit: int, *, lease: int, lease_us: int) -> list[Claimed]:
        """Take deliveries of an active webhook that are due, the longest due first, and that no other server is taking.

        Each has one attempt more, the lease, and is due again when that runs out.
        """
        ...

    def acknowledge(self, webhook_id: int, positions: Collection[int]) -> int:
        """Remove deliveries that were acknowledged, whichever server has them now; return how many were there."""
        ...

    def settle(self, deliveries: Sequence[tuple[Delivery, int]]) -> None:
        """Write what became of deliveries, but for those whose lease is no longer the one beside them."""
        ...

    def make_due(self, webhook_id: int, event_ids: Sequence[int] | None, *, dead: bool) -> int:
        """Make the deliveries of a webhook due now that wait and, with `dead`, those that are dead; return how many.

        Not those on their way. With `event_ids` only those of these events. The schedule of the dead begins anew.
        """
        ...


class WebhookStore(Protocol):
    """A store's side of webhooks, on connections of its own. Safe to call from several threads."""

    def transaction(self) -> AbstractContextManager[WebhookTransaction]:
        """Open a transaction."""
        ...

    def work(self, *, pending_max: int) -> list[Work]:
        """Return the active webhooks that have something to do; takes no lock.

        One with `pending_max` deliveries that are not dead takes no event up.
        """
        ...

    def webhook(self, webhook_id: int) -> tuple[Webhook, int] | None:
        """Return one webhook and the time, or None where there is no such one."""
        ...

    def webhooks(self, query: ListWebhooks) -> WebhookPage:
        """Return a page of webhooks."""
        ...

    def deliveries(self, query: ListDeliveries) -> DeliveryPage:
        """Return a page of what is not delivered."""
        ...


class Sender(Protocol):
    """Posts to receivers. Never raises for what a receiver or a network does."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request within a bound of time, follow nothing, and say what came of it."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
