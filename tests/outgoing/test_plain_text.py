"""What is sent in plain text: to this machine, and elsewhere only if that is allowed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tollkeeper.core.webhooks.deliveries import Answer
from tollkeeper.outgoing.addresses import is_loopback
from tollkeeper.outgoing.sender import HttpSender

TEST_NET = (ip_network("192.0.2.0/24"),)
"""Addresses of no machine. They are allowed here, so that no other rule refuses them."""
REFUSED = "its url is http:// and its address is not loopback; use https://, or start the server with --insecure"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.7", False),
        ("::ffff:192.0.2.7", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback_is_known_by_the_address(address: str, *, expected: bool) -> None:
    assert is_loopback(address) == expected


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
async def test_plain_text_to_another_machine_is_not_sent_and_the_answer_says_what_to_do(
    scheme: str,
) -> None:
    sender = HttpSender(timeout_s=5, networks=TEST_NET)

    answer = await sender.post(f"{scheme}://192.0.2.7/events", {}, b"{}")
    await sender.close()

    assert answer == Answer(0, REFUSED)


@pytest.mark.parametrize(("scheme", "allowed"), [("https", False), ("http", True)])
async def test_what_is_encrypted_or_allowed_is_tried(scheme: str, *, allowed: bool) -> None:
    sender = HttpSender(timeout_s=0.2, networks=TEST_NET, plain_http=allowed)

    answer = await sender.post(f"{scheme}://192.0.2.7/events", {}, b"{}")
    await sender.close()

    assert answer.http_status == 0
    assert answer.error not in {"", REFUSED}
