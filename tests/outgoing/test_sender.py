"""What the sender makes of a receiver, which is a real one in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from tests.support.receiver import Receiver, Step, receiving
from tollkeeper.core.webhooks.deliveries import Answer
from tollkeeper.outgoing.addresses import parse_networks
from tollkeeper.outgoing.sender import HttpSender

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

LOOPBACK = parse_networks("127.0.0.0/8")
HEADERS = {"webhook-id": "e-1", "content-type": "application/cloudevents+json; charset=utf-8"}
BODY = b'{"id":"e-1"}'
SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with receiving(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.fixture
async def sender() -> AsyncGenerator[HttpSender]:
    sender = HttpSender(timeout_s=1, networks=LOOPBACK)
    yield sender
    await sender.close()


async def test_a_request_arrives_as_it_was_sent(receiver: Receiver, sender: HttpSender) -> None:
    answer = await sender.post(receiver.url("/whole?token=t"), HEADERS, BODY)

    (received,) = receiver.received("/whole?token=t")
    assert answer == Answer(200)
    assert received.body.encode() == BODY
    assert received.headers["content-type"] == HEADERS["content-type"]
    assert {"cookie", "authorization", "accept-encoding"}.isdisjoint(received.headers)


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ({"status": 204}, Answer(204)),
        ({"status": 410}, Answer(410, "answered 410")),
        ({"status": 500, "body": "no\x07 \u00fc room"}, Answer(500, "answered 500: no room")),
        ({"status": 500, "body": "x" * 9_000}, Answer(500, f"answered 500: {'x' * 117}...")),
        ({"status": 302}, Answer(302, "answered 302, which is not followed")),
        ({"hang": True}, Answer(0, "did not answer within 1 s")),
        ({"half": True}, Answer(0, "closed the connection before it had answered")),
        ({}, Answer(0, "closed the connection before it had answered")),
        (
            {"status": 429, "headers": {"Retry-After": "30"}},
            Answer(429, "answered 429", 30 * SECOND_US),
        ),
        ({"status": 503, "headers": {"Retry-After": "soon"}}, Answer(503, "answered 503")),
    ],
)
async def test_what_a_receiver_does_becomes_an_answer(
    receiver: Receiver, sender: HttpSender, step: Step, answer: Answer
) -> None:
    receiver.plan("/does", step)

    assert await sender.post(receiver.url("/does"), HEADERS, BODY) == answer


async def test_a_redirect_is_not_followed(receiver: Receiver, sender: HttpSender) -> None:
    receiver.plan("/from", {"status": 307, "headers": {"Location": receiver.url("/to")}})

    await sender.post(receiver.url("/from"), HEADERS, BODY)

    assert receiver.received("/to") == []


async def test_a_date_to_retry_after_is_read(receiver: Receiver, sender: HttpSender) -> None:
    later = formatdate(time.time() + 100, usegmt=True)
    receiver.plan("/date", {"status": 503, "headers": {"Retry-After": later}})

    answer = await sender.post(receiver.url("/date"), HEADERS, BODY)

    assert 90 * SECOND_US < answer.retry_after_us <= 100 * SECOND_US


async def test_nobody_at_the_port_is_an_answer(sender: HttpSender) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"

        answer = await sender.post(url, HEADERS, BODY)

    assert answer == Answer(0, "refused the connection")


async def test_what_does_not_speak_tls_is_an_answer(receiver: Receiver, sender: HttpSender) -> None:
    url = receiver.url("/tls").replace("http:", "https:")

    answer = await sender.post(url, HEADERS, BODY)

    assert answer.http_status == 0
    assert receiver.received("/tls") == []


async def test_a_name_that_nobody_has_is_an_answer(sender: HttpSender) -> None:
    answer = await sender.post("http://receiver.invalid/", HEADERS, BODY)

    assert answer.http_status == 0
    assert answer.error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_an_address_that_is_not_public_is_not_connected_to(
    receiver: Receiver, host: str
) -> None:
    sender = HttpSender(timeout_s=2)

    answer = await sender.post(f"http://{host}:{receiver.port}/private", HEADERS, BODY)
    await sender.close()

    assert answer.http_status == 0
    assert receiver.received("/private") == []


async def test_who_asks_for_a_private_address_is_told_which_setting_allows_it(
    receiver: Receiver,
) -> None:
    sender = HttpSender(timeout_s=2)

    answers = [
        await sender.post(f"http://{host}:{receiver.port}/", HEADERS, BODY)
        for host in ("127.0.0.1", "localhost")
    ]
    await sender.close()

    assert answers == 2 * [Answer(0, "its address is not public, and none of webhook_networks")]


async def test_many_requests_run_side_by_side(receiver: Receiver, sender: HttpSender) -> None:
    receiver.plan("/slow", {"hang": True})
    begun_s = time.monotonic()

    await asyncio.gather(*[sender.post(receiver.url("/slow"), HEADERS, BODY) for _ in range(20)])

    assert time.monotonic() - begun_s < 10
