"""`tollkeeper webhook`, against a real server and a real receiver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import here, serving
from tests.support.receiver import Receiver, receiving
from tollkeeper.engine.webhooks.message import new_secret

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.cli.processes import Serving

SECRET = new_secret(b"k" * 24)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving]:
    """A server that may reach receivers on this machine."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, "--webhook-networks", "127.0.0.1,::1") as running:
        yield running


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with receiving(tmp_path_factory.mktemp("receiver")) as running:
        yield running


def test_a_webhook_is_created_and_its_secret_shown_once(server: Serving) -> None:
    ended = server.run("webhook", "create", "https://once.example", "--description", "billing")
    webhook_id = re.findall(r"^webhook (\w+) is created$", ended.out, re.MULTILINE)[0]
    listed = server.run("webhook", "list")

    assert re.search(r"^secret +whsec_\S{44}$", ended.out, re.MULTILINE)
    assert ended.out.endswith("keep the secret: nothing shows it again\n")
    assert re.search(r"^description +billing *$", ended.out, re.MULTILINE)
    assert re.search(rf"^ *{webhook_id}\b", listed.out, re.MULTILINE)
    assert "whsec_" not in listed.out + server.run("webhook", "list", "--json").out


def test_a_secret_of_ones_own_comes_from_the_environment(server: Serving) -> None:
    made = server.run(
        "webhook", "create", "https://own.example", "--json", TOLLKEEPER_WEBHOOK_SECRET=SECRET
    )

    assert made.json["secret"] == SECRET


def test_a_repeat_with_the_same_request_id_is_the_same_webhook(server: Serving) -> None:
    line = ("webhook", "create", "https://twice.example", "--request-id", "twice")
    first, again = server.json(*line), server.json(*line)

    assert again["webhook"] == first["webhook"]
    assert again["secret"] == first["secret"]
    assert "was created before" in server.run(*line).out


def test_a_webhook_is_paused_resumed_changed_rotated_and_deleted(server: Serving) -> None:
    made = server.json("webhook", "create", "https://life.example", "--account", "acme")
    webhook_id = made["webhook"]["webhook_id"]

    paused = server.run("webhook", "pause", webhook_id)
    resumed = server.json("webhook", "resume", webhook_id)
    changed = server.json("webhook", "update", webhook_id, "--url", "https://new.example")
    rotated = server.run("webhook", "rotate", webhook_id, "--overlap-s", "60")
    deleted = server.run("webhook", "delete", webhook_id)
    again = server.run("webhook", "delete", webhook_id)

    assert paused.out.startswith(f"webhook {webhook_id} is paused\n")
    assert resumed["webhook"]["state"] == "WEBHOOK_STATE_ACTIVE"
    assert changed["webhook"]["url"] == "https://new.example"
    assert rotated.out.startswith(f"webhook {webhook_id} has another secret\n")
    assert re.search(r"^secret before +signs until \d{4}-", rotated.out, re.MULTILINE)
    assert made["secret"] not in rotated.out
    assert deleted.out == f"webhook {webhook_id} is deleted\n"
    assert (again.code, again.err) == (1, f"there is no webhook {webhook_id}\n")


def test_a_ping_is_acknowledged_or_the_exit_code_is_1(server: Serving, receiver: Receiver) -> None:
    made = server.json("webhook", "create", receiver.url("/ping"))
    webhook_id = made["webhook"]["webhook_id"]

    well = server.run("webhook", "test", webhook_id)
    receiver.plan("/ping", {"status": 500, "body": "[bold]out of order"})
    badly = server.run("webhook", "test", webhook_id)
    as_json = server.run("webhook", "test", webhook_id, "--json")

    assert re.fullmatch(r"the receiver acknowledged with 200 in \d+ ms\n", well.out)
    assert badly.code == 1
    assert badly.err == "the receiver did not acknowledge: answered 500: [bold]out of order\n"
    assert (as_json.code, as_json.json["http_status"]) == (1, 500)


def test_an_empty_list_says_so(server: Serving) -> None:
    made = server.json("webhook", "create", "https://empty.example")
    webhook_id = made["webhook"]["webhook_id"]

    assert server.run("webhook", "dead", webhook_id).out == "0 deliveries dead\n"
    assert server.run("webhook", "dead", webhook_id, "--pending").out == "0 deliveries pending\n"
    assert server.run("webhook", "retry", webhook_id).out == "0 deliveries are due now\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("webhook create https://a.example --account a --prefix b", "exclude each other"),
        ("webhook update 1a", "give --url, --description or both"),
        ("webhook rotate 1a --overlap-s -1", "--overlap-s is '-1'; it must be at least 0"),
        ("serve --webhook-networks intranet", "it must be networks or addresses, such as"),
        ("serve --webhook-timeout-s 0", "it must be at least 1"),
    ],
)
def test_a_wrong_command_line_ends_with_2(line: str, message: str) -> None:
    ended = here(*line.split())

    assert ended.code == 2
    assert message in ended.err
