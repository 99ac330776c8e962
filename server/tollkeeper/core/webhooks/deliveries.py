"""Webhooks: who is told of events, and what becomes of a delivery after an attempt.

Pure: time, chance and new secrets are passed in. A delivery is tried until the receiver acknowledges it or its
schedule is over; then it is dead, which is kept and can be tried again by hand.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import NamedTuple

from tollkeeper.core import defaults
from tollkeeper.core.alerts.events import Event
from tollkeeper.core.defaults import US_PER_S
from tollkeeper.core.errors import Reason, Refused

GONE = 410
"""The status by which a receiver says that it wants no more."""

_ACKNOWLEDGED = range(200, 300)


@unique
class WebhookState(IntEnum):
    """Whether a webhook delivers; the numbers are the proto's."""

    ACTIVE = 1
    PAUSED = 2


@unique
class PauseCause(IntEnum):
    """Why a webhook is paused; the numbers are the proto's."""

    NONE = 0
    OPERATOR = 1
    GONE = 2


@unique
class DeliveryState(IntEnum):
    """What has become of a delivery; the numbers are the proto's. One that was acknowledged is not kept."""

    PENDING = 1
    DEAD = 2


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a webhook signs with, never shown by repr. `previous` signs too until `previous_until_us`, 0 for none.

    `version` counts the secrets that it has had.
    """

    current: str = field(repr=False)
    version: int = 1
    previous: str = field(default="", repr=False)
    previous_until_us: int = 0

    def in_use(self, now_us: int) -> tuple[str, ...]:
        """Return the secrets that sign now, the newest first."""
        if self.previous and now_us < self.previous_until_us:
            return self.current, self.previous
        return (self.current,)

    def of_version(self, version: int, now_us: int) -> str:
        """Return one secret while it is in use; empty afterwards."""
        secrets = {self.version - age: secret for age, secret in enumerate(self.in_use(now_us))}
        return secrets.get(version, "")

    def rotated(self, secret: str, *, overlap_us: int, now_us: int) -> Secrets:
        """Return the secrets with another one in front."""
        if not overlap_us:
            return Secrets(secret, self.version + 1)
        return Secrets(secret, self.version + 1, self.current, now_us + overlap_us)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription: the events of one account, of the ids with a prefix, or (both empty) of all.

    `position` is that of the last event that was looked at for it. The last three say how it is doing; 0: never.
    """

    webhook_id: int
    url: str
    account_id: str
    prefix: str
    description: str
    state: WebhookState
    pause_cause: PauseCause
    position: int
    created_us: int
    secrets: Secrets
    delivered: int = 0
    last_success_us: int = 0
    last_failure_us: int = 0
    last_failure: str = ""

    @property
    def active(self) -> bool:
        """Whether it delivers."""
        return self.state is WebhookState.ACTIVE


class Delivery(NamedTuple):
    """One event on its way to one webhook.

    `due_us` is when it is tried next; while `lease` is not 0 it is on its way, and counts as lost from then on; 0
    where it is dead. `attempts` and `since_us` begin anew when it is retried by hand.
    """

    webhook_id: int
    position: int
    state: DeliveryState
    attempts: int
    due_us: int
    lease: int
    since_us: int
    created_us: int
    attempted_us: int = 0
    http_status: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a delivery is tried again: waits that double from `first_us` to `longest_us`, each shortened at random.

    It is given up after `attempts_max` attempts, or where the next would be over `give_up_us` after the beginning.
    """

    first_us: int = defaults.WEBHOOK_RETRY_S * US_PER_S
    longest_us: int = defaults.WEBHOOK_RETRY_MAX_S * US_PER_S
    attempts_max: int = defaults.WEBHOOK_ATTEMPTS
    give_up_us: int = defaults.WEBHOOK_GIVE_UP_S * US_PER_S

    def wait_us(self, attempts: int, *, draw: float, retry_after_us: int) -> int:
        """Return how long to wait after so many attempts. `draw` is in [0, 1): full jitter.

        What the receiver asks for is honoured up to `longest_us`.
        """
        most_us = min(self.longest_us, self.first_us << min(attempts - 1, 40))
        return max(int(most_us * draw), min(retry_after_us, self.longest_us))


class Answer(NamedTuple):
    """What came of one attempt: a status, or 0 and why there was none. `retry_after_us` is 0 where not asked for."""

    http_status: int
    error: str = ""
    retry_after_us: int = 0

    @property
    def acknowledged(self) -> bool:
        """Whether the receiver has taken it."""
        return self.http_status in _ACKNOWLEDGED


def after_failure(
    delivery: Delivery, answer: Answer, schedule: Schedule, *, draw: float, now_us: int
) -> Delivery:
    """Return what becomes of a delivery that was not acknowledged: it waits, or it is dead.

    `draw` is in [0, 1) and shortens the wait.
    """
    left = delivery._replace(
        lease=0, attempted_us=now_us, http_status=answer.http_status, error=answer.error
    )
    due_us = now_us + schedule.wait_us(
        delivery.attempts, draw=draw, retry_after_us=answer.retry_after_us
    )
    if answer.http_status == GONE:
        return left._replace(due_us=now_us)  # it waits until its webhook is resumed
    over = due_us > delivery.since_us + schedule.give_up_us
    if delivery.attempts >= schedule.attempts_max or over:
        return left._replace(state=DeliveryState.DEAD, due_us=0)
    return left._replace(due_us=due_us)


def told(webhook: Webhook, answer: Answer, *, now_us: int) -> Webhook:
    """Return the webhook as it is after one attempt; `delivered` is counted apart.

    One whose receiver is gone is paused.
    """
    if answer.acknowledged:
        return dataclasses.replace(webhook, last_success_us=now_us)
    failed = dataclasses.replace(webhook, last_failure_us=now_us, last_failure=answer.error)
    if answer.http_status == GONE and webhook.active:
        return dataclasses.replace(failed, state=WebhookState.PAUSED, pause_cause=PauseCause.GONE)
    return failed


def unsent(delivery: Delivery, *, now_us: int) -> Delivery:
    """Return a delivery whose attempt we broke off ourselves: it is due again, and was not tried."""
    return delivery._replace(attempts=delivery.attempts - 1, lease=0, due_us=now_us)


def without_event(delivery: Delivery) -> Delivery:
    """Return a delivery whose event is no longer in the ledger: nothing can be sent."""
    return delivery._replace(
        state=DeliveryState.DEAD, lease=0, due_us=0, error="the event is no longer in the ledger"
    )


def new_delivery(webhook_id: int, event: Event, *, now_us: int) -> Delivery:
    """Return the delivery of an event, due at once."""
    return Delivery(
        webhook_id,
        event.position,
        DeliveryState.PENDING,
        attempts=0,
        due_us=now_us,
        lease=0,
        since_us=now_us,
        created_us=now_us,
    )


def webhook_name(webhook_id: int) -> str:
    """Return what callers know a webhook by."""
    return f"{webhook_id:x}"


def event_name(event_id: int) -> str:
    """Return what callers and receivers know an event by."""
    return f"{event_id:x}"


def webhook_not_found(name: str) -> Refused:
    """Return the refusal of a call that names a webhook which is not there."""
    return Refused(
        Reason.WEBHOOK_NOT_FOUND,
        f"there is no webhook {name}",
        metadata={"webhook_id": name},
    )
