"""The file of a SQLite ledger under a real server: who may read it, who serves it, and what happens without it."""

import asyncio
import os
import shutil
import signal
import stat
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.cli.processes import Ended, Serving, here, serving, tollkeeper
from tests.faults.load import Load, under_way
from tests.faults.test_processes import writers_of
from tests.support.ledgers import ACCOUNT, Ledger
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.cli.demo import PRICES

NOTICED_WITHIN_S = 1.0
MANY = "1000000"
REFUSED = "the ledger's store cannot be reached; try again\n"


@pytest.fixture(autouse=True)
def usual_umask() -> Generator[None]:
    """Everybody may read what is made, unless its maker says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tollkeeper.db"


@pytest.fixture
def server(tmp_path: Path, file: Path) -> Generator[Serving]:
    """A server with prices, and an account with many credits."""
    assert not file.exists()
    arguments = ("--prices", str(PRICES), "--metrics-listen", "127.0.0.1:0")
    with serving(tmp_path, *arguments) as server:
        assert server.process.stdout is not None
        server.lines.append(server.process.stdout.readline())
        server.json("account", "create", ACCOUNT)
        server.json("grant", ACCOUNT, MANY)
        yield server


def modes(file: Path) -> dict[str, str]:
    """The permissions of a ledger's files, by what is added to its name."""
    found = file.parent.glob(f"{file.name}*")
    return {
        path.name.removeprefix(file.name): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in found
    }


def health(server: Serving) -> tuple[str, int]:
    """What the health says, and the status of its page."""
    with grpc.insecure_channel(server.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        said = stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status
    page = server.lines[-1].split()[-1].replace("/metrics", "/healthz")
    try:
        with urllib.request.urlopen(page, timeout=5) as answer:  # noqa: S310 - our own server's
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    return health_pb2.HealthCheckResponse.ServingStatus.Name(said), status


def assert_out(server: Serving) -> None:
    """Within a second every kind of call is refused, and the health says so."""
    out = ("NOT_SERVING", 503)
    assert wait_until(lambda: health(server) == out, timeout_s=NOTICED_WITHIN_S)
    for arguments in (
        ("authorize", ACCOUNT, "GET", "/v1/leads"),
        ("grant", ACCOUNT, "1"),
        ("account", "show", ACCOUNT),
        ("overview", ACCOUNT),
        ("prices", "publish", str(PRICES)),
        ("webhook", "create", "https://hooks.example/x"),
        ("webhook", "list"),
    ):
        ended = server.run(*arguments)
        assert ended.code != 0, arguments
        assert REFUSED in ended.err, arguments


def assert_back(server: Serving) -> None:
    assert wait_until(lambda: health(server) == ("SERVING", 200), timeout_s=5)
    assert server.run("grant", ACCOUNT, "1").code == 0


def assert_sound(file: Path) -> None:
    ended = tollkeeper("verify", "--database", f"sqlite:///{file}", "--overdue-tolerance", "3600")
    assert ended.code == 0, ended.out + ended.err


def second(url: str, folder: Path) -> Ended:
    return tollkeeper("serve", "--listen", "127.0.0.1:0", "--database", url, folder=folder)


@thorough
def test_a_servers_files_are_for_their_owner_alone(server: Serving, file: Path) -> None:
    while_served = modes(file)
    ended = server.stop()

    assert while_served == dict.fromkeys(("", "-wal", "-shm", "-lock"), "600")
    assert ended.code == 0
    assert "can read" not in ended.err
    assert modes(file) == {"": "600", "-lock": "600"}


def test_what_migrate_makes_is_for_its_owner_alone_also_where_a_link_leads(
    file: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)

    ended = here("migrate", "--database", f"sqlite:///{link}")

    assert ended.code == 0, ended.err
    assert modes(file) == {"": "600"}


@pytest.mark.thorough
def test_a_file_that_everybody_may_read_stays_so_and_is_told_of(tmp_path: Path, file: Path) -> None:
    tollkeeper("migrate", "--database", f"sqlite:///{file}")
    told: dict[str, bool] = {}
    for mode in ("640", "644"):
        file.chmod(int(mode, 8))

        with serving(tmp_path) as server:
            assert modes(file) | {"-lock": ""} == {
                **dict.fromkeys(("", "-wal", "-shm"), mode),
                "-lock": "",
            }
            told[mode] = f"every user of this machine can read {file}" in server.stop().err

    assert told == {"640": False, "644": True}  # a group may have been chosen


@thorough
def test_a_second_server_of_a_file_is_refused_and_the_first_serves_on(
    server: Serving, file: Path, tmp_path: Path
) -> None:
    link = tmp_path / "folder" / "link.db"
    link.parent.mkdir()
    link.symlink_to(file)

    for url, named in ((f"sqlite:///{link}", link), (f"sqlite:///{file.name}", file)):
        ended = second(url, tmp_path)

        assert (ended.code, ended.out) == (1, ""), url
        holder = f"process {server.process.pid} on "
        assert ended.err.startswith(f"{named} is served already, by {holder}"), url
        assert "stop that server first" in ended.err
    assert_back(server)


@thorough
def test_a_server_that_was_killed_holds_no_lock(
    server: Serving, file: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, database=f"sqlite:///{tmp_path / 'other.db'}") as other:
        assert other.run("account", "create", "a").code == 0  # another file in the same folder
    server.process.kill()
    server.wait()

    with serving(tmp_path, database=f"sqlite:///{file}") as again:
        assert again.json("account", "show", ACCOUNT)


@pytest.mark.thorough
def test_a_lock_whose_file_was_deleted_is_taken_anew(
    server: Serving, file: Path, tmp_path: Path
) -> None:
    lock = file.with_name(f"{file.name}-lock")
    lock.unlink()

    assert wait_until(lock.exists, timeout_s=NOTICED_WITHIN_S + 4)
    assert second(f"sqlite:///{file}", tmp_path).code == 1
    assert f"{lock} was deleted, and is made anew" in server.stop().err


@thorough
def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = second(f"sqlite:///{tmp_path}/no/ledger.db", tmp_path)

    assert ended.code == 1
    assert ended.err.startswith(f"cannot open {tmp_path}/no/ledger.db-lock")
    assert "No such file or directory" in ended.err


@thorough
def test_verify_and_migrate_work_beside_a_server(server: Serving, file: Path) -> None:
    assert_sound(file)
    assert tollkeeper("migrate", "--database", f"sqlite:///{file}").code == 0
    assert_back(server)


@thorough
def test_a_file_that_was_moved_away_refuses_every_call_until_it_is_back(
    server: Serving, file: Path
) -> None:
    away = file.with_name("away.db")
    file.rename(away)

    assert_out(server)
    assert not file.exists()
    assert file.with_name(f"{file.name}-wal").stat().st_size == 0  # the file is whole where it is

    away.rename(file)
    assert_back(server)
    log = server.stop().err
    assert f"{file} is gone: every call is refused" in log
    assert f"{file} is where it was again" in log
    assert_sound(file)


@thorough
def test_a_file_that_was_replaced_is_left_alone_until_a_restart(
    server: Serving, file: Path, tmp_path: Path
) -> None:
    away, other = file.with_name("away.db"), file.with_name("other.db")
    tollkeeper("migrate", "--database", f"sqlite:///{other}")
    before = other.read_bytes()
    file.rename(away)
    shutil.copy2(other, file)

    assert_out(server)
    for pid in writers_of(
        server.process.pid
    ):  # the one that takes its place must not open the other file either
        os.kill(pid, signal.SIGKILL)
    assert_out(server)

    log = server.stop().err
    assert f"{file} is another file now: every call is refused" in log
    assert "To serve another file, stop this server" in log
    assert file.read_bytes() == before
    with serving(tmp_path) as again:  # nothing of the first is left beside it
        assert again.json("account", "list")["accounts"] == []
    assert_sound(away)
    assert Ledger(f"sqlite:///{away}").balance() == (int(MANY), 0)


@thorough
def test_a_file_that_was_deleted_is_not_made_again(server: Serving, file: Path) -> None:
    file.unlink()

    assert_out(server)
    for pid in writers_of(server.process.pid):
        os.kill(pid, signal.SIGKILL)
    assert_out(server)

    assert server.stop().code == 0
    assert not file.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("beside", ["-wal", "-shm"])
def test_what_was_acknowledged_outlives_the_loss_of_a_file_beside(
    beside: str, server: Serving, file: Path, tmp_path: Path
) -> None:
    for number in range(3):
        server.json("grant", ACCOUNT, "1", "--request-id", f"r-{number}")
    file.with_name(f"{file.name}{beside}").unlink()

    assert_out(server)

    ended = server.stop()
    assert ended.code == 0
    assert f"{file}{beside} is gone: every call is refused" in ended.err
    assert_sound(file)
    with serving(tmp_path) as again:
        account = again.json("account", "show", ACCOUNT)["account"]
        assert int(account["balance"]["settled"]) == int(MANY) + 3


async def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    server: Serving, file: Path
) -> None:
    load = await under_way(server.address, committed=100)

    taken = file.with_name("taken.db")
    os.rename(file, taken)  # noqa: PTH104 - at once, in the middle of the calls
    told = await load.end()
    acknowledged = len(told.committed)
    refused = Load(server.address, "while-gone")
    refused.start()
    told_nothing = await refused.end()
    os.rename(taken, file)  # noqa: PTH104 - likewise
    await asyncio.to_thread(assert_back, server)
    ended = await asyncio.to_thread(server.stop)

    assert ended.code == 0
    assert acknowledged >= 100
    assert set(told.refused) == {"UNAVAILABLE"}
    assert (told_nothing.authorized, told_nothing.committed) == ({}, set())
    assert set(told_nothing.refused) == {"UNAVAILABLE"}
    told.assert_kept(Ledger(f"sqlite:///{file}"))
