"""What a receiver gets: an event as a CloudEvent, signed as Standard Webhooks says.

The body of an event is the same at every attempt. https://github.com/cloudevents/spec and
https://github.com/standard-webhooks/standard-webhooks tell receivers all about both forms.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tollkeeper.core.validation.webhooks import SECRET_PREFIX
from tollkeeper.core.webhooks.deliveries import event_name, webhook_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.core.alerts.events import Event

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SOURCE = "/tollkeeper"
THRESHOLD_REACHED = "tollkeeper.threshold.reached.v1"
PING = "tollkeeper.webhook.ping.v1"

_USER_AGENT = "tollkeeper-webhooks"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event_body(event: Event) -> bytes:
    """Return an event in CloudEvents' structured mode."""
    data = {
        "event_id": event_name(event.event_id),
        "position": event.position,
        "account_id": event.account_id,
        "rule": event.rule,
        "subject": event.subject.name,
        "limit": event.limit or None,
        "threshold": event.threshold,
        "percent": event.percent,
        "value": event.value,
        "base": event.base or None,
        "window_start": _time(event.window_start_us) if event.window_end_us else None,
        "window_end": _time(event.window_end_us) if event.window_end_us else None,
    }
    return _cloud_event(
        event_name(event.event_id),
        THRESHOLD_REACHED,
        event.account_id,
        event.occurred_us,
        {name: value for name, value in data.items() if value is not None},
    )


def ping_body(ping_id: str, webhook_id: int, now_us: int) -> bytes:
    """Return what `TestWebhook` sends."""
    name = webhook_name(webhook_id)
    return _cloud_event(ping_id, PING, name, now_us, {"webhook_id": name})


def signed_headers(
    message_id: str, body: bytes, secrets: Sequence[str], *, now_us: int
) -> dict[str, str]:
    """Return the headers of one attempt, with a signature of each secret."""
    timestamp = str(now_us // 1_000_000)
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    return {
        "content-type": CONTENT_TYPE,
        "user-agent": _USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def new_secret(random_bytes: bytes) -> str:
    """Return the secret that 24 to 64 drawn bytes are."""
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode("ascii")


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


def _cloud_event(
    event_id: str, kind: str, subject: str, time_us: int, data: dict[str, Any]
) -> bytes:
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": _time(time_us),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _time(time_us: int) -> str:
    """Write a time as RFC 3339."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
