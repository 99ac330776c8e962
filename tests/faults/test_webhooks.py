"""Deliveries between real processes: receivers that fail, hang and restart, servers that are killed."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from tests.cli.processes import Serving, serving
from tests.support.ledger_fixtures import ledger_on_any as ledger
from tests.support.ledgers import ACCOUNT, Ledger, fill, new_ledger
from tests.support.outbox import add_events, deliveries
from tests.support.receiver import Receiver, make_certificate, receiving
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.alerts.rules import AlertRule
from tollkeeper.core.commands import UpdateAccount
from tollkeeper.core.limits import LimitWindow

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["ledger"]

pytestmark = pytest.mark.slow

SETTINGS = {
    "TOLLKEEPER_WEBHOOK_NETWORKS": "127.0.0.1",
    "TOLLKEEPER_WEBHOOK_TIMEOUT_S": "1",
    "TOLLKEEPER_WEBHOOK_RETRY_S": "1",
    "TOLLKEEPER_WEBHOOK_RETRY_MAX_S": "1",
    "TOLLKEEPER_LOG_LEVEL": "warning",
}
LEASE_S = 7
PATIENCE_S = 60


@pytest.fixture
def receiver(tmp_path: Path) -> Generator[Receiver]:
    with receiving(tmp_path / "receiver") as running:
        yield running


def served(ledger: Ledger, folder: Path, **more: str) -> AbstractContextManager[Serving]:
    anew = "SSL_CERT_FILE" in more  # aiohttp reads the certificates while it is loaded
    return serving(folder, database=ledger.url, environment=SETTINGS | more, preloaded=not anew)


def create(server: Serving, url: str) -> tuple[str, str]:
    """Make a webhook; return its id and secret."""
    made = server.json("webhook", "create", url)
    return made["webhook"]["webhook_id"], made["secret"]


def open_account(server: Serving) -> None:
    server.json("account", "create", ACCOUNT)


def all_delivered(ledger: Ledger, receiver: Receiver, path: str, events: list[str]) -> None:
    """Wait until every event was acknowledged, and nothing is left of any."""
    assert wait_until(
        lambda: set(receiver.acknowledged(path)) >= set(events) and not deliveries(ledger),
        timeout_s=PATIENCE_S,
    ), f"{set(events) - set(receiver.acknowledged(path))} missing, {deliveries(ledger)} left"
    assert set(receiver.acknowledged(path)) == set(events)


@thorough
def test_whatever_a_receiver_does_the_event_arrives_signed_and_the_same_each_time(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan(
        "/hook",
        {"status": 500},
        {"half": True},
        {},
        {"status": 302, "headers": {"Location": receiver.url("/elsewhere")}},
        {"hang": True},
        {"status": 200},
    )
    with served(ledger, tmp_path) as server:
        open_account(server)
        _, secret = create(server, receiver.url("/hook"))

        (event,) = add_events(ledger, 1)
        all_delivered(ledger, receiver, "/hook", [event])

    attempts = receiver.received("/hook")
    assert [each.message_id for each in attempts] == 6 * [event]
    assert len({each.body for each in attempts}) == 1
    assert receiver.received("/elsewhere") == []
    for each in attempts:
        Webhook(secret).verify(each.body, each.headers)
    assert attempts[0].event["data"]["account_id"] == ACCOUNT
    assert ledger.findings() == []


async def fill_with_rules(ledger: Ledger, *rules: AlertRule) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=100)
        await engine.update_account(UpdateAccount(ACCOUNT, "rules", alerts=rules))


@thorough
def test_a_rule_that_is_met_by_charges_is_told_of_once(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    used = AlertRule(0, "used", AlertSubject.CONSUMED, 50, False, LimitWindow.DAY, "UTC", "")
    low = AlertRule(0, "low", AlertSubject.REMAINING, 40, True, LimitWindow.MONTH, "UTC", "")
    asyncio.run(fill_with_rules(ledger, used, low))
    with served(ledger, tmp_path) as server:
        _, secret = create(server, receiver.url("/hook"))
        for _ in range(8):
            held = server.run("authorize", ACCOUNT, "GET", "/v1/leads", "--quiet").out.strip()
            assert server.run("commit", held, "--status", "200").code == 0
        receiver.wait_for("/hook", 2)
        ended = server.stop()

    told = receiver.received("/hook")
    for each in told:
        Webhook(secret).verify(each.body, each.headers)
    found = {each.event["data"]["rule"]: each.event for each in told}
    assert ended.code == 0
    assert len(told) == 2
    assert found["used"]["subject"] == found["low"]["subject"] == ACCOUNT
    assert (found["used"]["data"]["value"], found["used"]["data"]["threshold"]) == (50, 50)
    assert found["low"]["data"]["percent"]
    assert {each.event["data"]["position"] for each in told} == {1, 2}
    assert ledger.number("SELECT count(*) FROM event") == 2
    assert deliveries(ledger) == []
    assert ledger.findings() == []


@thorough
def test_neither_a_secret_nor_a_url_is_in_the_log(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan("/hook?token=T0KEN", {"status": 500}, {"hang": True}, {"status": 200})
    with served(ledger, tmp_path, TOLLKEEPER_LOG_LEVEL="debug") as server:
        open_account(server)
        webhook_id, secret = create(server, receiver.url("/hook?token=T0KEN"))
        server.run("webhook", "test", webhook_id)
        other = server.json("webhook", "rotate", webhook_id)["secret"]
        add_events(ledger, 1)
        receiver.wait_for("/hook?token=T0KEN", 3)
        ended = server.stop()

    assert "status=0" in ended.err
    for hidden in (secret, other):
        assert hidden.removeprefix("whsec_") not in ended.err
    assert "T0KEN" not in ended.err


@thorough
def test_both_secrets_sign_while_one_is_rotated(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    with served(ledger, tmp_path) as server:
        open_account(server)
        webhook_id, first = create(server, receiver.url("/hook"))
        second = server.json("webhook", "rotate", webhook_id)["secret"]
        during = add_events(ledger, 1)
        all_delivered(ledger, receiver, "/hook", during)
        third = server.json("webhook", "rotate", webhook_id, "--overlap-s", "0")["secret"]
        after = add_events(ledger, 1)
        all_delivered(ledger, receiver, "/hook", [*during, *after])

    both, alone = receiver.received("/hook")
    for secret in (first, second):
        Webhook(secret).verify(both.body, both.headers)
    Webhook(third).verify(alone.body, alone.headers)
    assert len(alone.headers["webhook-signature"].split()) == 1


@pytest.mark.thorough
def test_a_receiver_that_is_down_gets_every_event_when_it_is_back(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    with served(ledger, tmp_path) as server:
        open_account(server)
        create(server, receiver.url("/hook"))
        events = add_events(ledger, 20)
        receiver.wait_for("/hook", 5)

        receiver.kill()
        events += add_events(ledger, 20)
        assert wait_until(
            lambda: any(attempts for _, _, attempts in deliveries(ledger)), timeout_s=PATIENCE_S
        )
        receiver.start()
        all_delivered(ledger, receiver, "/hook", events)

    repeats = Counter(receiver.acknowledged("/hook"))
    assert set(repeats) == set(events)
    assert ledger.findings() == []


@thorough
def test_what_a_killed_server_had_not_delivered_is_delivered_after_its_restart(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan("/hook", {"status": 200}, {"status": 200}, {"hang": True})
    with served(ledger, tmp_path) as server:
        open_account(server)
        create(server, receiver.url("/hook"))
        events = add_events(ledger, 30)
        receiver.wait_for("/hook", 5)
        server.process.kill()
        server.wait()

    assert deliveries(ledger)
    assert ledger.findings() == []
    receiver.plan("/hook", {"status": 200})
    with served(ledger, tmp_path):
        all_delivered(ledger, receiver, "/hook", events)
    assert ledger.findings() == []


@pytest.mark.thorough
def test_a_stop_is_not_held_up_by_a_receiver_that_hangs(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan("/hook", {"hang": True})
    settings = {
        "TOLLKEEPER_DRAIN_S": "1",
        "TOLLKEEPER_WEBHOOK_TIMEOUT_S": "20",
        "TOLLKEEPER_LOG_LEVEL": "error",
    }
    with served(ledger, tmp_path, **settings) as server:
        open_account(server)
        create(server, receiver.url("/hook"))
        (event,) = add_events(ledger, 1)
        receiver.wait_for("/hook", 1)

        begun_s = time.monotonic()
        ended = server.stop(signal.SIGTERM)
        took_s = time.monotonic() - begun_s

    assert (ended.code, ended.err) == (0, "")
    assert took_s < 10
    receiver.plan("/hook", {"status": 200})
    with served(ledger, tmp_path):
        begun_s = time.monotonic()
        all_delivered(ledger, receiver, "/hook", [event])
        # It was broken off in order, so no lease has to run out.
        assert time.monotonic() - begun_s < LEASE_S


@thorough
def test_a_delivery_on_its_way_is_finished_before_a_server_stops(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan("/hook", {"status": 200, "after_s": 1.5})
    settings = {"TOLLKEEPER_WEBHOOK_TIMEOUT_S": "20"}
    with served(ledger, tmp_path, **settings) as server:
        open_account(server)
        create(server, receiver.url("/hook"))
        (event,) = add_events(ledger, 1)
        receiver.wait_for("/hook", 1)

        ended = server.stop(signal.SIGTERM)

    assert ended.code == 0
    assert receiver.acknowledged("/hook") == [event]
    assert deliveries(ledger) == []


@pytest.mark.thorough
def test_a_receiver_that_hangs_delays_no_other(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan("/hangs", {"hang": True})
    settings = {"TOLLKEEPER_WEBHOOK_TIMEOUT_S": "20"}
    with served(ledger, tmp_path, **settings) as server:
        open_account(server)
        create(server, receiver.url("/hangs"))
        create(server, receiver.url("/works"))
        events = add_events(ledger, 30)

        receiver.wait_for("/works", 30, timeout_s=15)
        while_it_hangs = [each.status for each in receiver.received("/hangs")]
        server.process.kill()

    assert set(receiver.acknowledged("/works")) == set(events)
    assert set(while_it_hangs) == {0}


@thorough
def test_a_dead_delivery_is_listed_and_sent_again(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan("/hook", {"status": 503, "body": "not today"})
    with served(ledger, tmp_path, TOLLKEEPER_WEBHOOK_ATTEMPTS="3") as server:
        open_account(server)
        webhook_id, _ = create(server, receiver.url("/hook"))
        (event,) = add_events(ledger, 1)
        assert wait_until(lambda: deliveries(ledger) == [(1, 2, 3)], timeout_s=PATIENCE_S)
        attempts = receiver.received("/hook")

        (dead,) = server.json("webhook", "dead", webhook_id)["deliveries"]
        receiver.plan("/hook", {"status": 200})
        retried = server.json("webhook", "retry", webhook_id)
        all_delivered(ledger, receiver, "/hook", [event])
        (listed,) = server.json("webhook", "list")["webhooks"]

    assert len(attempts) == 3
    assert (dead["event_id"], dead["attempts"]) == (event, 3)
    assert dead["error"] == "answered 503: not today"
    assert retried["retried"] == 1
    assert (listed["delivered"], listed["dead"], listed["pending"]) == (1, 0, 0)


@thorough
def test_nothing_is_sent_to_an_address_that_is_not_public_unless_it_is_allowed(
    ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    with served(ledger, tmp_path, TOLLKEEPER_WEBHOOK_NETWORKS="") as server:
        open_account(server)
        webhook_id, _ = create(server, receiver.url("/hook"))
        add_events(ledger, 1)
        assert wait_until(
            lambda: "address is not public" in server.run("webhook", "list", "--json").out,
            timeout_s=PATIENCE_S,
        )
        tested = server.run("webhook", "test", webhook_id)

    assert tested.code == 1
    assert "its address is not public" in tested.err
    assert receiver.received() == []


@thorough
def test_a_certificate_is_verified(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    if certificate is None:
        pytest.skip("no openssl here to make a certificate with")
    ledger = new_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with (
        receiving(tmp_path / "receiver", certificate=certificate) as receiver,
        served(ledger, tmp_path) as stranger,
    ):
        webhook_id, _ = create(stranger, receiver.url("/hook"))
        refused = stranger.run("webhook", "test", webhook_id)
        stranger.stop()
        with served(ledger, tmp_path, SSL_CERT_FILE=str(certificate)) as friend:
            trusted = friend.run("webhook", "test", webhook_id)

    assert "its certificate cannot be trusted" in refused.err
    assert trusted.code == 0, trusted.err
    assert len(receiver.received("/hook")) == 1


@pytest.mark.thorough
@pytest.mark.postgres
def test_two_servers_deliver_each_event_once_where_nothing_fails(
    postgres_ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    with served(postgres_ledger, tmp_path) as one, served(postgres_ledger, tmp_path) as other:
        open_account(one)
        create(other, receiver.url("/a"))
        create(one, receiver.url("/b"))
        events: list[str] = []
        for _ in range(5):
            events += add_events(postgres_ledger, 40)
        for path in ("/a", "/b"):
            all_delivered(postgres_ledger, receiver, path, events)

    for path in ("/a", "/b"):
        assert Counter(each.message_id for each in receiver.received(path)) == Counter(events)
    assert postgres_ledger.findings() == []


@pytest.mark.thorough
@pytest.mark.postgres
def test_one_of_two_servers_takes_over_what_the_other_had_when_it_was_killed(
    postgres_ledger: Ledger, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.plan("/hook", {"hang": True})
    with served(postgres_ledger, tmp_path) as one:
        open_account(one)
        create(one, receiver.url("/hook"))
        events = add_events(postgres_ledger, 30)
        receiver.wait_for("/hook", 4)
        with served(postgres_ledger, tmp_path):
            one.process.kill()
            one.wait()
            receiver.plan("/hook", {"status": 200})
            all_delivered(postgres_ledger, receiver, "/hook", events)
    assert postgres_ledger.findings() == []
