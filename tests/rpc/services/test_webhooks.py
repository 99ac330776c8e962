"""Webhooks over gRPC: what is asked, what is refused, and that a secret is shown once."""

from __future__ import annotations

import base64
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import pytest
from sqlalchemy import text

from tests.rpc.requests import IN_2040_S, pages_of
from tests.rpc.wire import refusal_of
from tests.support.receiver import receiving
from tollkeeper.rpc.convert.page_token import encode
from tollkeeper.v1 import webhooks_pb2 as pb

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

    from tests.rpc.conftest import Running

URL = "https://receiver.example/events"
UNKNOWN = "1a2b3c"
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 64).decode()

GOOD: dict[str, tuple[type[Message], dict[str, Any]]] = {
    "CreateWebhook": (pb.CreateWebhookRequest, {"url": URL, "request_id": "w-1"}),
    "UpdateWebhook": (pb.UpdateWebhookRequest, {"webhook_id": UNKNOWN, "request_id": "w-2"}),
    "RotateWebhookSecret": (
        pb.RotateWebhookSecretRequest,
        {"webhook_id": UNKNOWN, "request_id": "w-3"},
    ),
    "DeleteWebhook": (pb.DeleteWebhookRequest, {"webhook_id": UNKNOWN, "request_id": "w-4"}),
    "ListWebhooks": (pb.ListWebhooksRequest, {}),
    "ListWebhookDeliveries": (pb.ListWebhookDeliveriesRequest, {}),
    "RetryWebhookDeliveries": (
        pb.RetryWebhookDeliveriesRequest,
        {"webhook_id": UNKNOWN, "request_id": "w-5"},
    ),
    "TestWebhook": (pb.TestWebhookRequest, {"webhook_id": UNKNOWN}),
}
NAMING_ONE = [name for name, (_, fields) in GOOD.items() if "webhook_id" in fields]

BAD_URLS = [
    "",
    "receiver.example",
    "ftp://receiver.example",
    "https://",
    "https:///events",
    "https://user:secret@receiver.example",
    "https://receiver.example/#part",
    "https://receiver.example:99999",
    "https://receiver.example:port",
    "https://[::1",
    "https://receiver.example/a b",
    "https://receiver.example/\u00fc",
    "https://receiver.example/" + "a" * 2_048,
]
BAD_SECRETS = [
    "secret",
    "whsec_",
    "whsec_" + base64.b64encode(b"k" * 23).decode(),
    "whsec_" + base64.b64encode(b"k" * 65).decode(),
    "whsec_" + "*" * 32,
    base64.b64encode(b"k" * 24).decode(),
]
BAD_IDS = ["", "0", "xyz", "1A", "8" * 17, "f" * 16, "1\n"]
BAD_REQUEST_IDS = ["", "r" * 129, "\u00e9", "r\x00"]
BAD_TEXTS = ["x" * 257, "a\x00"]


class Case(NamedTuple):
    method: str
    changes: dict[str, Any]
    bad: list[str]


def each(method: str, field: str, values: list[Any]) -> list[Case]:
    return [Case(method, {field: value}, [field]) for value in values]


CASES = [
    *each("CreateWebhook", "url", BAD_URLS),
    *each("CreateWebhook", "secret", BAD_SECRETS),
    *each("CreateWebhook", "account_id", ["a b", "a" * 129]),
    *each("CreateWebhook", "account_prefix", ["a b", "a" * 129]),
    *each("CreateWebhook", "description", BAD_TEXTS),
    *each("CreateWebhook", "request_id", BAD_REQUEST_IDS),
    Case("CreateWebhook", {"account_id": "a", "account_prefix": "b"}, ["account_prefix"]),
    Case(
        "CreateWebhook",
        {"url": "x", "secret": "x", "request_id": ""},
        ["request_id", "url", "secret"],
    ),
    *(case for method in NAMING_ONE for case in each(method, "webhook_id", BAD_IDS)),
    *each("UpdateWebhook", "url", BAD_URLS),
    *each("UpdateWebhook", "description", BAD_TEXTS),
    *each("UpdateWebhook", "state", [0, 3, -1]),
    *each("UpdateWebhook", "request_id", BAD_REQUEST_IDS),
    *each("RotateWebhookSecret", "secret", BAD_SECRETS),
    *each(
        "RotateWebhookSecret",
        "overlap",
        [{"seconds": -1}, {"seconds": 30 * 86_400 + 1}, {"nanos": -1}, {"nanos": 10**9}],
    ),
    *each("RotateWebhookSecret", "request_id", BAD_REQUEST_IDS),
    *each("DeleteWebhook", "request_id", BAD_REQUEST_IDS),
    *each("ListWebhooks", "page_size", [-1, 1_001]),
    *each("ListWebhooks", "page_token", ["x", encode(("other",), "1")]),
    *each("ListWebhookDeliveries", "webhook_id", BAD_IDS[1:]),
    *each("ListWebhookDeliveries", "state", [3, -1]),
    *each("ListWebhookDeliveries", "page_size", [-1, 1_001]),
    *each(
        "ListWebhookDeliveries",
        "page_token",
        ["x", *(encode(("webhook deliveries", "", 0), place) for place in ("1", "1:x", ":"))],
    ),
    Case(
        "RetryWebhookDeliveries", {"event_ids": ["1", "x", "0"]}, ["event_ids[1]", "event_ids[2]"]
    ),
    *each("RetryWebhookDeliveries", "event_ids", [["1"] * 1_001]),
    *each("RetryWebhookDeliveries", "request_id", BAD_REQUEST_IDS),
]


async def call(server: Running, method: str, /, **changes: Any) -> Any:
    kind, fields = GOOD[method]
    return await getattr(server.webhooks, method)(kind(**(fields | changes)))


async def create(server: Running, **changes: Any) -> pb.Webhook:
    return (await call(server, "CreateWebhook", **changes)).webhook


async def test_a_webhook_is_created_listed_changed_and_deleted(server: Running) -> None:
    made = await call(server, "CreateWebhook", account_prefix="eu/", description="billing")
    paused = await call(
        server,
        "UpdateWebhook",
        webhook_id=made.webhook.webhook_id,
        url="https://other.example",
        state=pb.WEBHOOK_STATE_PAUSED,
    )
    (listed,) = (await call(server, "ListWebhooks")).webhooks
    await call(server, "DeleteWebhook", webhook_id=made.webhook.webhook_id)

    assert made.webhook.state == pb.WEBHOOK_STATE_ACTIVE
    assert (made.webhook.url, made.webhook.account_prefix) == (URL, "eu/")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made.secret)
    assert listed == paused.webhook
    assert (listed.url, listed.description) == ("https://other.example", "billing")
    assert listed.pause_cause == pb.WEBHOOK_PAUSE_CAUSE_OPERATOR
    assert not (await call(server, "ListWebhooks")).webhooks


async def test_each_call_is_done_once(server: Running) -> None:
    first = await call(server, "CreateWebhook")
    again = await call(server, "CreateWebhook")
    webhook_id = first.webhook.webhook_id
    rotated = await call(server, "RotateWebhookSecret", webhook_id=webhook_id)
    rotated_again = await call(server, "RotateWebhookSecret", webhook_id=webhook_id)
    before = server.rows()

    for method in NAMING_ONE[:2]:
        await call(server, method, webhook_id=webhook_id)
        after_first = server.rows()
        await call(server, method, webhook_id=webhook_id)
        assert server.rows() == after_first
    await call(server, "DeleteWebhook", webhook_id=webhook_id)
    await call(server, "DeleteWebhook", webhook_id=webhook_id)

    assert before
    assert (again.webhook, again.secret) == (first.webhook, first.secret)
    assert (first.replayed, again.replayed) == (False, True)
    assert rotated_again.secret == rotated.secret != first.secret
    assert (rotated.replayed, rotated_again.replayed) == (False, True)


@pytest.mark.parametrize(
    ("method", "changes", "field"),
    [
        ("CreateWebhook", {"url": "https://other.example"}, "url"),
        ("CreateWebhook", {"secret": OTHER_SECRET}, "secret"),
        ("CreateWebhook", {"account_id": "acme"}, "account_id"),
        ("UpdateWebhook", {"url": "https://other.example"}, "url"),
        ("UpdateWebhook", {"state": pb.WEBHOOK_STATE_PAUSED}, "state"),
        ("RotateWebhookSecret", {"secret": OTHER_SECRET}, "secret"),
        ("RotateWebhookSecret", {"overlap": {"seconds": 1}}, "overlap"),
        ("RetryWebhookDeliveries", {"event_ids": ["1"]}, "event_ids"),
        ("DeleteWebhook", {"request_id": "w-1"}, "request_id"),
    ],
)
async def test_a_key_with_other_content_is_refused(
    server: Running, method: str, changes: dict[str, Any], field: str
) -> None:
    webhook = await create(server, secret=SECRET)
    named = {} if method == "CreateWebhook" else {"webhook_id": webhook.webhook_id}
    given = {"secret": SECRET} if method == "CreateWebhook" else {}
    await call(server, method, **given, **named)

    refusal = await refusal_of(call(server, method, **(given | changes), **named))

    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    assert refusal.metadata["field"] == field
    assert SECRET not in refusal.words
    assert OTHER_SECRET not in refusal.words


@pytest.mark.parametrize("method", NAMING_ONE)
async def test_a_webhook_that_is_not_there_is_not_found(server: Running, method: str) -> None:
    before = server.rows()

    refusal = await refusal_of(call(server, method))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "WEBHOOK_NOT_FOUND")
    assert refusal.metadata == {"webhook_id": UNKNOWN}
    assert server.rows() == before


async def test_every_bad_field_is_named_and_nothing_changes(server: Running) -> None:
    await create(server, request_id="there")
    before = server.rows()
    findings: list[str] = []

    for case in CASES:
        refusal = await refusal_of(call(server, case.method, **case.changes))
        if refusal.reason != "INVALID_FIELD" or refusal.fields != case.bad:
            findings.append(f"{case}: {refusal.reason} {refusal.fields}")
        secrets = [each for each in BAD_SECRETS if len(each) > 10 and each in refusal.words]
        findings += [f"{case}: tells {each}" for each in secrets]

    assert not findings, "\n".join(findings)
    assert server.rows() == before


def test_every_field_of_every_request_has_a_bad_value_here() -> None:
    tried = {(case.method, re.sub(r"\[\d+\]", "", field)) for case in CASES for field in case.bad}
    (service,) = pb.DESCRIPTOR.services_by_name.values()

    assert {
        (method.name, field.name)
        for method in service.methods
        for field in method.input_type.fields
    } == tried


async def test_a_secret_is_shown_by_the_call_that_gave_it_alone(server: Running) -> None:
    made = await call(server, "CreateWebhook", secret=SECRET)
    webhook_id = made.webhook.webhook_id
    answers = [
        await call(server, "UpdateWebhook", webhook_id=webhook_id, description="x"),
        await call(server, "ListWebhooks"),
        await call(server, "ListWebhookDeliveries"),
    ]

    assert made.secret == SECRET
    assert all(SECRET not in str(answer) for answer in answers)
    assert SECRET not in "".join(server.rows()["admin_request"])


async def test_the_secret_before_a_rotation_signs_on_for_the_overlap(server: Running) -> None:
    made = await call(server, "CreateWebhook")
    webhook_id = made.webhook.webhook_id
    rotated = await call(
        server, "RotateWebhookSecret", webhook_id=webhook_id, overlap={"seconds": 600}
    )
    repeat_of_first = await call(server, "CreateWebhook")
    at_once = await call(
        server, "RotateWebhookSecret", webhook_id=webhook_id, overlap={}, request_id="at once"
    )
    repeat_of_second = await call(
        server, "RotateWebhookSecret", webhook_id=webhook_id, overlap={"seconds": 600}
    )

    assert rotated.webhook.HasField("previous_secret_expire_time")
    assert repeat_of_first.secret == made.secret
    assert not at_once.webhook.HasField("previous_secret_expire_time")
    assert (repeat_of_second.secret, repeat_of_second.replayed) == ("", True)


async def test_webhooks_are_listed_page_by_page(server: Running) -> None:
    made = [(await create(server, request_id=f"w-{n}")).webhook_id for n in range(5)]

    pages = await pages_of(partial(call, server, "ListWebhooks"), page_size=2)

    found = [webhook.webhook_id for page in pages for webhook in page.webhooks]
    assert found == sorted(made)


async def test_deliveries_are_listed_page_by_page(server: Running) -> None:
    webhook = await create(server)
    with server.database.begin() as connection:
        for position in range(1, 6):
            state = 2 if position % 2 else 1
            connection.execute(
                text(
                    "INSERT INTO webhook_delivery (webhook_id, position, state, attempts, due_us, "
                    "lease, since_us, created_us, attempted_us, http_status, error) "
                    "VALUES (:webhook, :position, :state, 3, :due_us, 0, 1, 1, 1, 500, 'no')"
                ),
                {
                    "webhook": int(webhook.webhook_id, 16),
                    "position": position,
                    "state": state,
                    "due_us": IN_2040_S * 1_000_000 if state == 1 else 0,
                },
            )

    pages = await pages_of(partial(call, server, "ListWebhookDeliveries"), page_size=2)
    dead = await call(
        server, "ListWebhookDeliveries", state=2, webhook_id=webhook.webhook_id, page_size=2
    )
    (listed,) = (await call(server, "ListWebhooks")).webhooks

    found = [each.event_position for page in pages for each in page.deliveries]
    assert found == [1, 2, 3, 4, 5]
    assert [each.event_position for each in dead.deliveries] == [1, 3]
    assert not dead.deliveries[0].HasField("next_attempt_time")
    assert (listed.pending, listed.dead) == (2, 3)


async def test_a_ping_says_what_the_receiver_said(server: Running, tmp_path: Path) -> None:
    with receiving(tmp_path / "receiver") as receiver:
        webhook = await create(server, url=receiver.url("/ping"), secret=SECRET)
        well = await call(server, "TestWebhook", webhook_id=webhook.webhook_id)
        receiver.plan("/ping", {"status": 403, "body": "who are you?"})
        badly = await call(server, "TestWebhook", webhook_id=webhook.webhook_id)
        (first, _) = receiver.received("/ping")

    assert (well.acknowledged, well.http_status, well.error) == (True, 200, "")
    assert well.duration.ToMicroseconds() > 0
    assert (badly.acknowledged, badly.http_status) == (False, 403)
    assert badly.error == "answered 403: who are you?"
    assert first.event["type"] == "tollkeeper.webhook.ping.v1"
    assert first.event["data"] == {"webhook_id": webhook.webhook_id}
    assert SECRET not in str(first)
