"""A server that speaks TLS and mutual TLS, and what it says of files that it cannot use."""

from __future__ import annotations

import ssl
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.cli.conftest import PRICES
from tests.cli.processes import Ended, Serving, serving, tollkeeper
from tests.support.certificates import Authority, Issued
from tests.support.thorough import thorough
from tollkeeper_client import Client, Held, tls

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def options(issued: Issued, folder: Path) -> list[str]:
    cert, key = issued.write(folder)
    return ["--tls-cert", str(cert), "--tls-key", str(key)]


def list_accounts(server: Serving, *arguments: str, **environment: str) -> Ended:
    return server.run("account", "list", *arguments, **environment)


def test_calls_clients_reflection_and_health_travel_over_tls(
    authority: Authority, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    secure = options(authority.issue(), tmp_path)

    with serving(tmp_path, *secure, "--prices", str(PRICES)) as server:
        trusting = {"TOLLKEEPER_CLIENT_TLS_CA": str(ca)}
        created = server.run("account", "create", "acme", **trusting)
        granted = server.run("grant", "acme", "10", "--tls-ca", str(ca))
        with Client(server.address, credentials=tls(ca)) as client:
            held = client.authorize("acme", "GET", "/v1/leads")
        listed = services(server.address, ca)
        beside = {"TOLLKEEPER_LISTEN": server.address, "TOLLKEEPER_TLS_CERT": secure[1]}
        healthy = tollkeeper(module="tollkeeper.cli.health", environment=beside)
        as_a_client = tollkeeper(
            server.address, module="tollkeeper.cli.health", environment=trusting
        )
        in_plain_text = tollkeeper(server.address, module="tollkeeper.cli.health")
        ended = server.stop()

    assert (created.code, granted.code) == (0, 0), granted.err
    assert isinstance(held, Held)
    assert "tollkeeper.v1.LedgerService" in listed
    assert healthy == as_a_client == Ended(0, "", "")
    assert in_plain_text == Ended(1, "", f"{server.address}: NO ANSWER\n")
    assert (ended.code, ended.err) == (0, "")


def services(address: str, ca: Path) -> list[str]:
    """Ask for the services by reflection, over TLS."""
    with grpc.secure_channel(address, tls(ca)) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=20)
        return [each.name for each in answer.list_services_response.service]


def test_a_client_without_a_certificate_of_the_right_authority_is_not_served(
    authority: Authority, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    clients, others = Authority("clients"), Authority("others")
    asked = ["--tls-client-ca", str(clients.write(tmp_path / "clients.crt"))]
    ours = clients.issue("gateway").write(tmp_path, "ours")
    foreign = others.issue("gateway").write(tmp_path, "foreign")
    trusting = ["--tls-ca", str(ca)]

    with serving(tmp_path, *options(authority.issue(), tmp_path), *asked) as server:
        with_ours = list_accounts(server, *trusting, *shows(ours))
        without = list_accounts(server, *trusting)
        with_foreign = list_accounts(server, *trusting, *shows(foreign))
        with Client(server.address, credentials=tls(ca, cert=ours[0], key=ours[1])) as client:
            denied = client.authorize("nobody", "GET", "/v1/leads")
        health = {
            "TOLLKEEPER_CLIENT_TLS_CA": str(ca),
            "TOLLKEEPER_CLIENT_TLS_CERT": str(ours[0]),
            "TOLLKEEPER_CLIENT_TLS_KEY": str(ours[1]),
        }
        healthy = tollkeeper(server.address, module="tollkeeper.cli.health", environment=health)
        ended = server.stop()

    assert with_ours.code == 0, with_ours.err
    assert not isinstance(denied, Held)
    assert healthy == Ended(0, "", "")
    assert without.code == with_foreign.code == 4
    assert without.err.startswith(
        f"the server at {server.address} wants a certificate of the client;"
    )
    assert "does not accept the certificate of --tls-cert" in with_foreign.err
    assert (ended.code, ended.err) == (0, "")


def shows(files: tuple[Path, Path]) -> list[str]:
    return ["--tls-cert", str(files[0]), "--tls-key", str(files[1])]


@thorough
def test_a_socket_in_the_file_system_stays_plain_beside_a_port_of_tls(
    authority: Authority, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    socket = f"unix:{tmp_path / 's'}"
    secure = options(authority.issue(), tmp_path)

    with serving(tmp_path, *secure, "--listen", f"127.0.0.1:0,{socket}") as server:
        port = server.address.partition(",")[0]
        plainly = server.run("account", "list", "--server", socket)
        secured = server.run("account", "list", "--server", port, "--tls-ca", str(ca))
        with_variable = server.run(
            "account", "list", "--server", socket, TOLLKEEPER_CLIENT_TLS_CA=str(ca)
        )

    assert (plainly.code, secured.code, with_variable.code) == (0, 0, 0)


def test_metrics_are_shown_over_the_same_tls(authority: Authority, tmp_path: Path) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    secure = options(authority.issue(), tmp_path)

    with serving(tmp_path, *secure, "--metrics-listen", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        line = server.process.stdout.readline()
        url = line.removeprefix("metrics on ").strip()
        context = ssl.create_default_context(cafile=str(ca))
        with urllib.request.urlopen(url, timeout=20, context=context) as answer:  # noqa: S310 -- our own
            page = answer.read().decode()

    assert url.startswith("https://127.0.0.1:")
    assert "tollkeeper_serving 1" in page


def wrong_files(authority: Authority, folder: Path) -> dict[str, tuple[Sequence[str], str]]:
    """What is wrong, by name: the options of `serve`, and what it must say."""
    good, other = authority.issue(), authority.issue()
    cert, key = good.write(folder, "good")
    mixed, its_key = Issued(good.cert, other.key).write(folder, "mixed")
    locked, locked_key = authority.issue(password=b"hunter2").write(folder, "locked")
    nothing = folder / "nothing.pem"
    text = folder / "text.pem"
    text.write_text("hunter2\n", encoding="utf-8")
    return {
        "an absent certificate": (
            shows((nothing, key)),
            f"tls_cert is '{nothing}'; it cannot be read: no such file or directory",
        ),
        "a folder for a key": (
            shows((cert, folder)),
            f"tls_key is '{folder}'; it cannot be read: is a directory",
        ),
        "a certificate that is none": (
            shows((text, key)),
            f"tls_cert is '{text}'; it must have a certificate in PEM",
        ),
        "a key that is none": (
            shows((cert, text)),
            f"tls_key is '{text}'; it must be a private key in PEM",
        ),
        "a key with a password": (
            shows((locked, locked_key)),
            f"tls_key is '{locked_key}'; it must be a key without a password",
        ),
        "the key of another certificate": (
            shows((mixed, its_key)),
            f"tls_key is '{its_key}'; it must be the key of the first certificate in tls_cert",
        ),
        "an authority that is none": (
            [*shows((cert, key)), "--tls-client-ca", str(text)],
            f"tls_client_ca is '{text}'; it must have a certificate in PEM",
        ),
    }


def test_files_that_cannot_be_used_are_named_at_the_start_and_nothing_of_a_key_is_said(
    authority: Authority, tmp_path: Path
) -> None:
    for name, (arguments, said) in wrong_files(authority, tmp_path).items():
        ended = tollkeeper("serve", "--listen", "127.0.0.1:0", *arguments, folder=tmp_path)

        assert (ended.code, ended.out) == (2, ""), name
        assert ended.err.startswith(said), name
        assert len(ended.err.splitlines()) == 1
        assert "hunter2" not in ended.err
        assert "PRIVATE KEY-----\n" not in ended.err
    assert not (tmp_path / "tollkeeper.db").exists()


@thorough
def test_every_file_that_is_wrong_is_in_the_error_for_scripts(tmp_path: Path) -> None:
    arguments = ["--tls-cert", "a.crt", "--tls-key", "a.key", "--tls-client-ca", "ca.crt"]

    ended = tollkeeper("serve", *arguments, "--json", folder=tmp_path)

    assert (ended.code, ended.error["reason"]) == (2, "WRONG_SETTINGS")
    assert [each["field"] for each in ended.error["violations"]] == [
        "tls_cert",
        "tls_key",
        "tls_client_ca",
    ]


def test_an_expired_certificate_is_a_warning(authority: Authority, tmp_path: Path) -> None:
    expired = authority.issue(lasts=timedelta(hours=-1))

    with serving(tmp_path, *options(expired, tmp_path)) as server:
        ended = server.stop()

    assert ended.code == 0
    (line,) = ended.err.splitlines()
    assert f"tls_cert is '{tmp_path / 'tls.crt'}', a certificate that expired at " in line
    assert " WARNING " in line
