"""What a receiver gets, read and checked with the libraries that receivers use."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook, WebhookVerificationError

from tollkeeper.core.alerts.events import AlertSubject, Event
from tollkeeper.engine.webhooks.message import event_body, new_secret, ping_body, signed_headers

DOCUMENT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET, OTHER = new_secret(b"k" * 32), new_secret(b"o" * 24)
EVENT = Event(
    position=7,
    event_id=0x1A2B,
    account_id="eu/acme",
    rule="80 % of the day \u00fc",
    subject=AlertSubject.LIMIT_USE,
    limit="daily",
    threshold=80,
    percent=True,
    value=801,
    base=1_000,
    window_start_us=1_790_000_000_000_000,
    window_end_us=1_790_086_400_000_000,
    occurred_us=1_790_000_000_123_456,
)


def now_us() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)


def test_an_event_is_a_cloud_event() -> None:
    headers = signed_headers("1a2b", event_body(EVENT), [SECRET], now_us=now_us())

    found = from_http_event(HTTPMessage(headers, event_body(EVENT)))

    assert found.get_specversion() == "1.0"
    assert (found.get_id(), found.get_source()) == ("1a2b", "/tollkeeper")
    assert found.get_type() == "tollkeeper.threshold.reached.v1"
    assert found.get_subject() == "eu/acme"
    assert found.get_datacontenttype() == "application/json"
    assert found.get_time() == datetime(2026, 9, 21, 14, 13, 20, 123456, UTC)
    assert found.get_data() == {
        "event_id": "1a2b",
        "position": 7,
        "account_id": "eu/acme",
        "rule": "80 % of the day \u00fc",
        "subject": "LIMIT_USE",
        "limit": "daily",
        "threshold": 80,
        "percent": True,
        "value": 801,
        "base": 1_000,
        "window_start": "2026-09-21T14:13:20.000000Z",
        "window_end": "2026-09-22T14:13:20.000000Z",
    }


def test_what_an_event_does_not_have_is_left_out() -> None:
    event = EVENT._replace(
        subject=AlertSubject.REMAINING, limit="", base=0, percent=False, value=-5, window_end_us=0
    )

    data = from_http_event(HTTPMessage(signed_headers("1", b"", [], now_us=0), event_body(event)))

    assert set(data.get_data() or ()) == {
        "event_id",
        "position",
        "account_id",
        "rule",
        "subject",
        "threshold",
        "percent",
        "value",
    }


def test_a_repeat_has_the_same_body() -> None:
    assert event_body(EVENT) == event_body(EVENT._replace())


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_each_secret_in_use_verifies(secret: str) -> None:
    body = ping_body("ping-1", 26, now_us())
    headers = signed_headers("ping-1", body, [SECRET, OTHER], now_us=now_us())

    assert Webhook(secret).verify(body, headers)["type"] == "tollkeeper.webhook.ping.v1"


def test_another_secret_body_id_or_time_does_not_verify() -> None:
    body, now = event_body(EVENT), now_us()
    headers = signed_headers("1a2b", body, [SECRET], now_us=now)
    old = signed_headers("1a2b", body, [SECRET], now_us=now - 600_000_000)
    spoiled = [
        (OTHER, body, headers),
        (SECRET, body + b" ", headers),
        (SECRET, body, headers | {"webhook-id": "1a2c"}),
        (SECRET, body, headers | {"webhook-timestamp": str(now // 1_000_000 + 1)}),
        (SECRET, body, old),
    ]

    for secret, content, sent in spoiled:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(content, sent)


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    at_us = int(timedelta(seconds=1_614_265_330) / timedelta(microseconds=1))
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        now_us=at_us,
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_new_secret_is_what_was_drawn() -> None:
    assert base64.b64decode(new_secret(b"\xff" * 24).removeprefix("whsec_")) == b"\xff" * 24


def test_the_documented_check_of_a_signature_works() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    known: dict[str, Any] = {}
    exec(code, known)  # noqa: S102 - the example of our own documentation
    is_genuine, body, now = known["is_genuine"], event_body(EVENT), now_us()
    headers = signed_headers("1a2b", body, [SECRET, OTHER], now_us=now)
    old = signed_headers("1a2b", body, [SECRET, OTHER], now_us=now - 301_000_000)

    assert len(code.strip().splitlines()) <= 14
    assert is_genuine(SECRET, headers, body)
    assert is_genuine(OTHER, headers, body)
    assert not is_genuine(new_secret(b"x" * 32), headers, body)
    assert not is_genuine(SECRET, headers, body + b" ")
    assert not is_genuine(SECRET, old, body)


def test_the_documented_event_has_the_fields_of_one() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    documented, sent = json.loads(example), json.loads(event_body(EVENT))

    assert list(documented) == list(sent)
    assert list(documented["data"]) == list(sent["data"])
