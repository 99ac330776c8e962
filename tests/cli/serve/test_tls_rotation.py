"""TLS files that are replaced while calls go on: no call fails, and new connections see the new certificate."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import grpc
import pytest

from tests.cli.processes import Serving, here, serving
from tests.faults.several import serving_processes
from tests.support.certificates import Authority, Issued, shown_by
from tests.support.ledgers import Ledger
from tests.support.waiting import wait_until
from tollkeeper.v1 import admin_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper_client import tls

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

WITHIN_S = 30
"""How long a change may take on a machine that is busy; it is two seconds on one that is not."""


@pytest.fixture
def authority() -> Authority:
    return Authority()


class Secret:
    """A folder as Kubernetes mounts a secret: the files are links into a folder that one link names."""

    def __init__(self, folder: Path, issued: Issued, client_ca: bytes | None = None) -> None:
        self._folder = folder
        self._number = 0
        folder.mkdir()
        self.replace(issued, client_ca)
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (folder / name).symlink_to(folder / "..data" / name)

    def replace(self, issued: Issued, client_ca: bytes | None = None) -> None:
        """Let the link name another folder with the new files, at once."""
        self._number += 1
        content = self._folder / f"..{self._number}"
        issued.write(content)
        (content / "ca.crt").write_bytes(client_ca or b"")
        link = self._folder / "..link"
        link.symlink_to(content)
        link.rename(self._folder / "..data")

    def options(self) -> list[str]:
        return [
            *("--tls-cert", str(self._folder / "tls.crt")),
            *("--tls-key", str(self._folder / "tls.key")),
        ]

    def client_ca(self) -> list[str]:
        return ["--tls-client-ca", str(self._folder / "ca.crt")]


class Caller:
    """Calls again and again over one connection that it keeps."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials) -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        self._channel = grpc.secure_channel(address, credentials, options)
        self._stub = AdminServiceStub(self._channel)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._call)
        self.answered = 0
        self.failed: list[str] = []

    def _call(self) -> None:
        while not self._stopping.is_set():
            try:
                self._stub.ListAccounts(admin_pb2.ListAccountsRequest(), timeout=20)
                self.answered += 1
            except grpc.RpcError as error:
                self.failed.append(f"{error.code()} {error.details()}")

    def goes_on(self) -> bool:
        """Wait until more calls were answered than at this moment."""
        before = self.answered
        return wait_until(lambda: self.answered > before + 1, timeout_s=WITHIN_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=30)
        self._channel.close()


def sees(address: str, issued: Issued) -> bool:
    """Wait until a new connection is shown a certificate."""
    return wait_until(lambda: shown_by(address) == issued.serial, timeout_s=WITHIN_S)


@contextmanager
def served(
    folder: Path, *arguments: str, database: str | None = None, level: str = "error"
) -> Generator[Serving]:
    with serving(folder, *arguments, "--log-level", level, database=database) as server:
        yield server


def test_new_connections_get_the_new_certificate_and_calls_of_an_old_one_go_on(
    authority: Authority, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    first, second = authority.issue(), authority.issue()
    secret = Secret(tmp_path / "secret", first)

    with (
        served(tmp_path, *secret.options()) as server,
        Caller(server.address, tls(ca)) as caller,
    ):
        assert caller.goes_on()
        before = shown_by(server.address)
        secret.replace(second)
        seen = sees(server.address, second)
        assert caller.goes_on()
        anew = server.run("account", "list", "--tls-ca", str(ca))

        # A rename of each file, one after the other.
        third = authority.issue()
        for new, path in zip(third.write(tmp_path / "new"), secret.options()[1::2], strict=True):
            new.rename(path)
        seen_again = sees(server.address, third)
        assert caller.goes_on()

    assert before == first.serial
    assert (seen, seen_again, anew.code) == (True, True, 0)
    assert caller.failed == []


def test_a_new_authority_of_clients_is_used_by_new_connections(
    authority: Authority, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    old, new = Authority("old"), Authority("new")
    issued = authority.issue()
    secret = Secret(tmp_path / "secret", issued, old.pem)
    of_old = old.issue("gateway").write(tmp_path, "old")
    of_new = new.issue("gateway").write(tmp_path, "new")

    def code_of(files: tuple[Path, Path]) -> int:
        shown = ["--tls-cert", str(files[0]), "--tls-key", str(files[1])]
        return here("account", "list", "--server", server.address, "--tls-ca", str(ca), *shown).code

    with (
        served(tmp_path, *secret.options(), *secret.client_ca()) as server,
        Caller(server.address, tls(ca, cert=of_old[0], key=of_old[1])) as caller,
    ):
        assert caller.goes_on()
        before = code_of(of_old), code_of(of_new)
        secret.replace(issued, new.pem)
        accepted = wait_until(lambda: code_of(of_new) == 0, timeout_s=WITHIN_S)
        after = code_of(of_old)
        assert caller.goes_on()

    assert before == (0, 4)
    assert (accepted, after) == (True, 4)
    assert caller.failed == []


def test_broken_new_files_are_an_error_in_the_log_and_the_old_certificate_stays(
    authority: Authority, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    first, second = authority.issue(), authority.issue()
    cert, key = first.write(tmp_path)
    log: list[str] = []

    with served(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key)) as server:
        assert server.process.stderr is not None
        cert.write_bytes(second.cert)
        log.append(server.process.stderr.readline())
        mixed = shown_by(server.address)
        cert.unlink()
        log.append(server.process.stderr.readline())
        absent = shown_by(server.address)
        answered = server.run("account", "list", "--tls-ca", str(ca)).code
        second.write(tmp_path)
        seen = sees(server.address, second)
        ended = server.stop()

    assert mixed == absent == first.serial
    assert (answered, seen) == (0, True)
    assert (ended.code, ended.err) == (0, "")
    assert " ERROR " in log[0]
    assert "those from before stay in use" in log[0]
    assert "tls_key is" in log[0]
    assert "tls_cert is" in log[1]
    assert "cannot be read: no such file or directory" in log[1]


@pytest.mark.postgres
def test_every_worker_shows_the_new_certificate(
    authority: Authority, postgres_ledger: Ledger, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    first, second = authority.issue(), authority.issue()
    secret = Secret(tmp_path / "secret", first)

    with (
        served(
            tmp_path, *secret.options(), "--workers", "2", database=postgres_ledger.url
        ) as server,
        Caller(server.address, tls(ca)) as caller,
    ):
        assert caller.goes_on()
        before = {shown_by(server.address) for _ in range(16)}
        secret.replace(second)
        # The system spreads connections over the workers: sixteen in a row are not of one alone.
        everywhere = wait_until(
            lambda: {shown_by(server.address) for _ in range(16)} == {second.serial},
            timeout_s=WITHIN_S,
        )
        assert caller.goes_on()

    assert before == {first.serial}
    assert everywhere
    assert caller.failed == []


@pytest.mark.postgres
def test_a_worker_that_is_lost_while_the_files_are_broken_comes_back_when_they_are_whole(
    authority: Authority, postgres_ledger: Ledger, tmp_path: Path
) -> None:
    ca = authority.write(tmp_path / "ca.crt")
    first, second = authority.issue(), authority.issue()
    cert, key = first.write(tmp_path)
    secure = ["--tls-cert", str(cert), "--tls-key", str(key), "--workers", "2"]

    with served(tmp_path, *secure, database=postgres_ledger.url) as server:
        assert server.process.stderr is not None
        before = serving_processes(server.process.pid)
        cert.write_text("none", encoding="ascii")
        os.kill(before[0], signal.SIGKILL)
        line = ""
        while "does not start" not in line:
            line = server.process.stderr.readline()
            assert line, "the server ended"
        answered = server.run("account", "list", "--tls-ca", str(ca)).code
        second.write(tmp_path)
        whole = wait_until(
            lambda: {shown_by(server.address) for _ in range(16)} == {second.serial},
            timeout_s=WITHIN_S,
        )
        back = wait_until(
            lambda: len(serving_processes(server.process.pid)) == 2, timeout_s=WITHIN_S
        )
        ended = server.stop()

    assert len(before) == 2
    assert "tls_cert is" in line
    assert (answered, whole, back, ended.code) == (0, True, True, 0)


def test_metrics_are_shown_with_the_new_certificate_too(
    authority: Authority, tmp_path: Path
) -> None:
    first, second = authority.issue(), authority.issue()
    secret = Secret(tmp_path / "secret", first)

    with served(tmp_path, *secret.options(), "--metrics-listen", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        line = server.process.stdout.readline()
        address = line.removeprefix("metrics on https://").partition("/")[0]
        before = shown_by(address)
        secret.replace(second)
        seen = sees(address, second)

    assert before == first.serial
    assert seen
