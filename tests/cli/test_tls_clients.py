"""Commands and load tests over TLS: what they say where a server and they cannot agree."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, here, serving
from tests.support.certificates import Authority
from tests.support.thorough import thorough

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority that is trusted, and one that is not."""
    folder = tmp_path_factory.mktemp("tls")
    Authority("other").write(folder / "other.crt")
    authority = Authority()
    authority.write(folder / "ca.crt")
    authority.issue().write(folder, "here")
    authority.issue("ledger.example.com").write(folder, "elsewhere")
    return folder


def served_as(folder: Path, name: str) -> list[str]:
    return [
        *("--tls-cert", str(folder / f"{name}.crt"), "--tls-key", str(folder / f"{name}.key")),
        *("--prices", str(PRICES)),
    ]


@pytest.fixture(scope="module")
def secure(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving]:
    with serving(tmp_path_factory.mktemp("secure"), *served_as(folder, "here")) as running:
        yield running


def refusal(address: str, *arguments: str) -> str:
    """Run a command that cannot reach its server, and return what it says."""
    person = here("account", "list", "--server", address, *arguments)
    script = here("account", "list", "--server", address, *arguments, "--json")

    assert (person.code, script.code, person.out) == (4, 4, "")
    assert script.error["reason"] == "TLS_FAILED"
    assert person.err == script.error["message"] + "\n"
    return person.err


def test_plain_text_to_a_port_of_tls_is_told_to_speak_tls(secure: Serving) -> None:
    said = refusal(secure.address)

    assert said.startswith(f"the server at {secure.address} speaks TLS; add --tls-ca FILE ")


def test_tls_to_a_port_of_plain_text_is_told_to_leave_it(server: Serving, folder: Path) -> None:
    said = refusal(server.address, "--tls-ca", str(folder / "ca.crt"))

    assert said.startswith(f"the server at {server.address} does not speak TLS; leave --tls ")


@pytest.mark.parametrize("trusts", ["an authority of its own", "the system"])
def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    trusts: str, secure: Serving, folder: Path
) -> None:
    other = ["--tls-ca", str(folder / "other.crt")]

    said = refusal(secure.address, *(["--tls"] if trusts == "the system" else other))

    assert said.startswith(f"the certificate of the server at {secure.address} is not trusted: ")
    assert "unable to get local issuer certificate" in said or "self-signed" in said


def test_a_certificate_for_another_host_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    with serving(tmp_path, *served_as(folder, "elsewhere")) as server:
        said = refusal(server.address, "--tls-ca", str(folder / "ca.crt"))

    assert "is not trusted: IP address mismatch" in said.replace("iP", "IP")


def test_what_listens_and_says_nothing_is_no_server_also_over_tls(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        kept: list[socket.socket] = []

        def keep() -> None:
            try:
                while True:
                    kept.append(silent.accept()[0])
            except OSError:
                return

        listening = threading.Thread(target=keep)
        listening.start()
        ended = here("account", "list", "--server", address, "--tls-ca", str(folder / "ca.crt"))
        silent.shutdown(socket.SHUT_RDWR)
        listening.join(timeout=10)
        for each in kept:
            each.close()

    assert ended.code == 4
    assert ended.err.startswith(f"no Tollkeeper server answers at {address}")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--tls-cert", "ca.crt"], 2, "--tls-cert and --tls-key must be given together"),
        (["--tls-ca", "none.crt"], 1, "--tls-ca is 'none.crt'; it cannot be read: no such file"),
        (["--tls-ca", "here.key"], 1, "it must be PEM with a line -----BEGIN CERTIFICATE-----"),
        (
            ["--tls-ca", "ca.crt", "--tls-cert", "here.crt", "--tls-key", "elsewhere.key"],
            4,
            "cannot be used together; is the key that of the certificate?",
        ),
    ],
)
def test_files_of_a_client_that_cannot_be_used_are_named(
    arguments: list[str],
    code: int,
    said: str,
    secure: Serving,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)

    ended = here("account", "list", "--server", secure.address, *arguments)

    assert ended.code == code
    assert said in ended.err


def test_the_variable_of_tls_is_a_flag(secure: Serving) -> None:
    said = secure.run("account", "list", TOLLKEEPER_CLIENT_TLS="true")

    assert said.code == 4
    assert "is not trusted" in said.err


@thorough
@pytest.mark.parametrize("mode", ["unary", "client"])
def test_a_load_test_speaks_tls_in_every_process(mode: str, secure: Serving, folder: Path) -> None:
    ended = here(
        *("loadtest", "--server", secure.address, "--tls-ca", str(folder / "ca.crt")),
        *("--mode", mode, "--count", "20", "--duration", "2", "--warm-up", "0", "--expired", "0"),
        *("--accounts", "2", "--processes", "2", "--json"),
    )

    assert ended.code == 0, ended.err
    assert ended.json["load"]["pairs"] > 0


@thorough
def test_a_load_test_without_a_server_serves_itself_in_plain_text(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = here(
        *("loadtest", "--count", "10", "--duration", "2", "--warm-up", "0", "--expired", "0"),
        *("--accounts", "2", "--json"),
        TOLLKEEPER_CLIENT_TLS_CA=str(folder / "ca.crt"),
        TOLLKEEPER_TLS_CERT=str(folder / "here.crt"),
        TOLLKEEPER_TLS_KEY=str(folder / "here.key"),
    )

    assert ended.code == 0, ended.err
