"""Where a server listens: sockets in the file system, every interface, and several addresses."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import grpc.aio
import pytest

from tests.rpc.fakes import FakeEngine
from tests.rpc.test_answering import COMMIT, SETTLED
from tollkeeper.listening import every_interface
from tollkeeper.rpc.listeners import ListenError
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

SOON_S = 10


def server_on(listen: str, fake: FakeEngine | None = None) -> Server:
    engine = fake or FakeEngine()
    engine.answer = SETTLED
    return Server(engine.engine, ServerSettings(listen))


async def answers(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        return (await LedgerServiceStub(channel).Commit(COMMIT, timeout=SOON_S)).credits == 10


def stale_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


async def test_a_socket_is_for_its_owner_and_group_and_gone_after_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "s"
    umask = os.umask(0o022)
    server = server_on(f"unix:{path}")

    assert await server.start() == 0

    assert await answers(f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert os.umask(umask) == 0o022
    assert server.address == f"unix:{path}"
    await server.stop(0)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- pathlib is thought to block


async def test_what_a_dead_server_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    stale_socket(path)
    server = server_on(f"unix:{path}")

    await server.start()

    assert await answers(f"unix:{path}")
    await server.stop(0)


async def test_the_socket_of_a_living_server_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = server_on(f"unix:{path}")
    await first.start()

    with pytest.raises(ListenError, match=rf"^cannot listen on unix:{path}: another process does"):
        await server_on(f"unix:{path}").start()

    assert await answers(f"unix:{path}")
    await first.stop(0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "there is a file that is no socket"),
        ("folder", "there is a file that is no socket"),
        ("nowhere/s", "no such file or directory"),
        ("file/s", "not a directory"),
    ],
)
async def test_what_cannot_be_a_socket_is_refused_and_left(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()

    with pytest.raises(ListenError, match=f"{name}: {reason}$"):
        await server_on(f"unix:{tmp_path / name}").start()

    assert (tmp_path / "file").read_text() == "kept"


async def test_a_server_that_ends_leaves_the_socket_of_its_successor_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    fake = FakeEngine()
    fake.free.clear()
    first, second = server_on(f"unix:{path}", fake), server_on(f"unix:{path}")
    await first.start()
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        call = asyncio.ensure_future(LedgerServiceStub(channel).Commit(COMMIT))
        await fake.arrived.wait()
        stopping = asyncio.create_task(first.stop(SOON_S))
        async with asyncio.timeout(SOON_S):
            while True:  # until the first one listens no more
                try:
                    await second.start()
                    break
                except ListenError:
                    second = server_on(f"unix:{path}")
                    await asyncio.sleep(0.05)

        fake.free.set()
        assert (await call).credits == 10
    await stopping

    assert await answers(f"unix:{path}")
    await second.stop(0)
    assert not path.exists()


async def test_several_addresses_are_one_server_and_told_in_order(tmp_path: Path) -> None:
    server = server_on(f"127.0.0.1:0,unix:{tmp_path / 's'},:0")

    port = await server.start()

    first, second, third = server.address.split(",")
    assert (first, second) == (f"127.0.0.1:{port}", f"unix:{tmp_path / 's'}")
    assert third.startswith(f"{every_interface()}:")
    every_port = third.rpartition(":")[2]
    local = {f"127.0.0.1:{every_port}"}
    if every_interface() == "[::]":
        local.add(f"[::1]:{every_port}")
    assert all([await answers(each) for each in {first, second, third} | local])
    await server.stop(0)


async def test_where_one_address_is_taken_no_file_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"

        with pytest.raises(ListenError, match=rf"^cannot listen on {taken}: another process does"):
            await server_on(f"unix:{tmp_path / 's'},{taken}").start()

    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- pathlib is thought to block
