"""A server on a socket in the file system and on several addresses, and those who find it there."""

import signal
from pathlib import Path

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import Ended, here, serving, tollkeeper
from tests.support.ledgers import Ledger
from tests.support.thorough import thorough
from tollkeeper.cli import health
from tollkeeper_client import Client, Held


@pytest.fixture
def socket(tmp_path: Path) -> str:
    return f"unix:{tmp_path / 's'}"


def test_commands_and_clients_find_a_server_at_a_socket(socket: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--listen", socket, "--prices", str(PRICES)) as server:
        server.json("account", "create", "acme")
        server.json("grant", "acme", "10")
        shown = here("account", "show", "acme", "--server", socket)
        with Client(socket) as client:
            held = client.authorize("acme", "GET", "/v1/leads")
        healthy = tollkeeper(socket, module="tollkeeper.cli.health")
        found = tollkeeper(
            module="tollkeeper.cli.health", environment={"TOLLKEEPER_LISTEN": socket}
        )
        ended = server.stop()
    gone = here("account", "show", "acme", "--server", socket)

    assert server.address == socket
    assert shown.code == 0
    assert isinstance(held, Held)
    assert healthy == found == Ended(0, "", "")
    assert (ended.code, ended.err) == (0, "")
    assert f"no Tollkeeper server answers at {socket}" in gone.err


@thorough
def test_a_server_that_was_killed_is_followed_by_one_on_its_socket(
    socket: str, tmp_path: Path
) -> None:
    with serving(tmp_path, "--listen", socket) as first:
        database = f"sqlite:///{tmp_path / 'other.db'}"
        refused = tollkeeper("serve", "--listen", socket, "--database", database)
        first.stop(signal.SIGKILL)
    left = (tmp_path / "s").is_socket()
    with serving(tmp_path, "--listen", socket) as second:
        assert health.main([second.address]) == 0
        assert second.stop().code == 0

    assert left
    assert refused.code == 1
    assert f"cannot listen on {socket}: another process does" in refused.err
    assert not (tmp_path / "s").exists()


@thorough
def test_one_line_names_every_address(socket: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--insecure", "--listen", f":0,{socket}") as server:
        port, file = server.address.split(",")
        asked = [health.main([each]) for each in (port, file, server.address)]
        by_port = here("account", "list", "--server", f"127.0.0.1:{port.rpartition(':')[2]}")
        ended = server.stop()

    assert ended.out == f"listening on {server.address}\n"
    assert (file, asked, by_port.code) == (socket, [0, 0, 0], 0)


@thorough
def test_health_is_that_of_every_address(
    socket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path) as server:
        code = health.main([f"{server.address},{socket}"])

    assert (code, capsys.readouterr().err) == (1, f"{socket}: NO ANSWER\n")


@thorough
@pytest.mark.postgres
def test_several_processes_share_several_ports(postgres_ledger: Ledger, tmp_path: Path) -> None:
    with serving(
        tmp_path,
        "--insecure",
        "--listen",
        "127.0.0.1:0,:0",
        "--workers",
        "2",
        "--log-level",
        "error",
        database=postgres_ledger.url,
    ) as server:
        addresses = server.address.split(",")
        asked = [health.main([each]) for each in addresses]
        ended = server.stop()

    assert (len({each.rpartition(":")[2] for each in addresses}), asked) == (2, [0, 0])
    assert (ended.code, ended.err) == (0, "")


@thorough
def test_several_processes_cannot_share_a_socket(socket: str, tmp_path: Path) -> None:
    database = "postgresql+psycopg://nobody@127.0.0.1:1/ledger"
    ended = tollkeeper(
        *("serve", "--workers", "2", "--listen", socket, "--database", database), folder=tmp_path
    )

    assert ended.code == 2
    assert "workers is '2' (from --workers); it must be 1 where listen has unix:PATH" in ended.err
