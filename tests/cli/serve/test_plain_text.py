"""Plain text beyond this machine needs a word: for calls, for metrics and for webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import serving, tollkeeper
from tests.support.certificates import Authority
from tests.support.thorough import thorough
from tollkeeper.listening import TcpAddress, is_loopback

if TYPE_CHECKING:
    from pathlib import Path

CALLS = "give tls_cert and tls_key, listen on 127.0.0.1 or unix:PATH, or allow it with --insecure"
METRICS = "give tls_cert and tls_key, listen on 127.0.0.1, or allow it with --insecure"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("localhost", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound to it
        ("[::]", False),
        ("192.0.2.7", False),
        ("[2001:db8::7]", False),
        ("[::ffff:192.0.2.7]", False),
        ("no-such-host.invalid", False),
    ],
)
def test_loopback_is_what_leads_to_this_machine_alone(host: str, *, expected: bool) -> None:
    assert is_loopback(TcpAddress(host, 50_051)) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", ":0"], f"listen is ':0'; it must not offer plain text on :0, {{}}: {CALLS}"),
        (
            ["--listen", "127.0.0.1:0,192.0.2.7:50051"],
            f"listen is '127.0.0.1:0,192.0.2.7:50051'; it must not offer plain text on 192.0.2.7:50051, {{}}: {CALLS}",
        ),
        (
            ["--listen", "127.0.0.1:0", "--metrics-listen", "[::]:0"],
            f"metrics_listen is '[::]:0'; it must not offer plain text on [::]:0, {{}}: {METRICS}",
        ),
    ],
)
def test_an_address_that_others_reach_is_refused_with_what_to_do(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    ended = tollkeeper("serve", *arguments, folder=tmp_path)

    expected = said.format("which other machines may reach")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"{expected} (insecure = true)\n"
    assert not (tmp_path / "tollkeeper.db").exists()


@thorough
def test_a_script_is_told_every_setting_that_is_refused(tmp_path: Path) -> None:
    listen = ["--listen", ":0", "--metrics-listen", "192.0.2.7:9464"]

    ended = tollkeeper("serve", *listen, "--json", folder=tmp_path)

    assert (ended.code, ended.error["reason"]) == (2, "WRONG_SETTINGS")
    fields = [each["field"] for each in ended.error["violations"]]
    assert fields == ["listen", "metrics_listen"]


@pytest.mark.parametrize("how", ["a flag", "a variable", "a key of the file"])
def test_it_is_served_where_that_is_allowed(how: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("insecure = true\n" if how == "a key of the file" else "")
    environment = {"TOLLKEEPER_INSECURE": "true"} if how == "a variable" else {}
    flags = ["--insecure"] if how == "a flag" else []

    with serving(
        tmp_path, "--listen", ":0", *flags, "--config", str(file), environment=environment
    ) as server:
        port = server.address.rpartition(":")[2]
        listed = server.run("account", "list", "--server", f"127.0.0.1:{port}")

    assert listed.code == 0, listed.err


def test_every_interface_is_served_over_tls(tmp_path: Path) -> None:
    authority = Authority()
    cert, key = authority.issue().write(tmp_path)
    ca = authority.write(tmp_path / "ca.crt")

    with serving(
        tmp_path, "--listen", ":0", "--tls-cert", str(cert), "--tls-key", str(key)
    ) as server:
        here = f"127.0.0.1:{server.address.rpartition(':')[2]}"
        secured = server.run("account", "list", "--server", here, "--tls-ca", str(ca))
        plainly = server.run("account", "list", "--server", here)

    assert (secured.code, plainly.code) == (0, 4)


@thorough
def test_commands_that_listen_nowhere_do_not_ask(tmp_path: Path) -> None:
    environment = {"TOLLKEEPER_LISTEN": ":50051"}

    migrated = tollkeeper("migrate", folder=tmp_path, environment=environment)
    verified = tollkeeper("verify", folder=tmp_path, environment=environment)

    assert (migrated.code, verified.code) == (0, 0)


def test_a_webhook_in_plain_text_is_refused_unless_its_receiver_is_here(tmp_path: Path) -> None:
    there = "http://receiver.example.com/events"

    with serving(tmp_path) as server:
        refused = server.run("webhook", "create", there, "--json")
        local = server.json("webhook", "create", "http://localhost:8080/events")
        name = local["webhook"]["webhook_id"]
        changed = server.run("webhook", "update", name, "--url", there)
        secure = server.run("webhook", "create", "https://receiver.example.com/events")

    assert (refused.code, refused.error["reason"]) == (1, "INVALID_FIELD")
    (violation,) = refused.error["violations"]
    assert violation["field"] == "url"
    assert violation["description"].startswith(
        "must begin with https://; http:// is for a receiver"
    )
    assert "--insecure" in violation["description"]
    assert changed.code == 1
    assert secure.code == 0


def test_a_webhook_of_before_says_at_delivery_what_is_wrong(tmp_path: Path) -> None:
    there = "http://192.0.2.7/events"

    with serving(tmp_path, "--insecure", "--webhook-networks", "192.0.2.0/24") as server:
        created = server.json("webhook", "create", there)
        name = created["webhook"]["webhook_id"]
        server.stop()
    with serving(tmp_path, "--webhook-networks", "192.0.2.0/24") as server:
        tested = server.run("webhook", "test", name)

    assert tested.code == 1
    assert (
        "its url is http:// and its address is not loopback; use https://"
        in tested.out + tested.err
    )
