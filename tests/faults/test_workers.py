"""Several serving processes on one port of PostgreSQL: killed, told to leave, stopped, counted, as one server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.cli.processes import Serving, serving, tollkeeper
from tests.faults.load import Load
from tests.support.ledgers import ACCOUNT, Ledger, fill, leads
from tests.support.pages import read_health, read_metrics
from tests.support.postgres import database_name
from tests.support.waiting import wait_until
from tests.support.workers import parent_of, processes, workers_of
from tollkeeper.supervisor.child import SERVING_MODULE
from tollkeeper.supervisor.place import LOSSES_MAX
from tollkeeper.v1 import ledger_pb2
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.postgres

WORKERS = 2
DRAIN_S = 10
MANY = 10**9
CONNECTIONS = 16
"""So many that each process has some, but for once in thirty thousand times."""


@contextmanager
def several(folder: Path, ledger: Ledger, *arguments: str) -> Generator[tuple[Serving, str]]:
    """Run a server with several processes until the block ends; yields the address of its metrics too."""
    settings = (
        *("--workers", str(WORKERS), "--drain-s", str(DRAIN_S)),
        *("--metrics-listen", "127.0.0.1:0", "--log-level", "error"),
    )
    with serving(folder, *settings, *arguments, database=ledger.url) as server:
        assert server.process.stdout is not None
        line = server.process.stdout.readline()
        server.lines.append(line)
        yield server, line.removeprefix("metrics on http://").removesuffix("/metrics\n")


def serving_processes(supervisor: int) -> list[int]:
    return [pid for pid in processes() if parent_of(pid) == supervisor and is_serving(pid)]


def is_serving(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as words:  # noqa: PTH123 -- not a file
            return SERVING_MODULE.encode() in words.read().split(b"\0")
    except OSError:
        return False


def all_processes(supervisor: int) -> list[int]:
    """The serving processes of a supervisor, and those of their lanes."""
    ours = serving_processes(supervisor)
    return [*ours, *(lane for pid in ours for lane in workers_of(pid))]


def runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has waited for has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as status:  # noqa: PTH123 -- not a file
            return status.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def all_end(pids: list[int]) -> bool:
    return wait_until(lambda: not any(map(runs, pids)), timeout_s=20)


def all_serve(metrics: str, *, restarts: int) -> bool:
    """Wait until every process serves, after so many were replaced."""

    def condition() -> bool:
        workers = read_health(metrics)[1]["workers"]
        return all(each["serving"] for each in workers) and restarts == sum(
            each["restarts"] for each in workers
        )

    return wait_until(condition, timeout_s=30)


def pid_of(metrics: str, worker: int) -> int:
    return read_health(metrics)[1]["workers"][worker]["pid"]


@contextmanager
def connections(address: str) -> Generator[list[grpc.Channel]]:
    """Open connections of their own, which the system spreads over the processes."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as stack:
        yield [
            stack.enter_context(grpc.insecure_channel(address, options=options))
            for _ in range(CONNECTIONS)
        ]


def begin(channel: grpc.Channel, request_id: str, path: str = "/v1/leads") -> Any:
    request = ledger_pb2.AuthorizeRequest(
        account_id=ACCOUNT, method="GET", path=path, request_id=request_id
    )
    authorize: Any = LedgerServiceStub(channel).Authorize
    return authorize.future(request, timeout=30, wait_for_ready=True)


def healths(channels: list[grpc.Channel]) -> set[int]:
    """What connections are told that were made before."""
    stubs: list[Any] = [health_pb2_grpc.HealthStub(channel) for channel in channels]
    return {stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status for stub in stubs}


@contextmanager
def paused(pid: int) -> Generator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def maintenance(ledger: Ledger) -> Generator[psycopg.Connection]:
    """Connect to another database of the same server."""
    url = ledger.url.replace("+psycopg", "").rpartition("/")[0]
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        yield connection


@contextmanager
def locked_account(ledger: Ledger) -> Generator[None]:
    """Keep the lanes waiting for an account."""
    url = ledger.url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1 FROM account FOR UPDATE")
        yield


async def filled(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=MANY)


async def test_a_killed_worker_is_replaced_while_the_others_serve_on(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    with several(tmp_path, postgres_ledger) as (server, metrics):
        load = Load(server.address)
        load.start()
        await load.reach(committed=100)
        killed = await asyncio.to_thread(pid_of, metrics, 1)
        lanes = workers_of(killed)

        os.kill(killed, signal.SIGKILL)
        # Waited for by the supervisor, and so without sockets: its other threads may be later than the first.
        assert await asyncio.to_thread(wait_until, lambda: killed not in processes(), timeout_s=20)
        meanwhile = Load(server.address, "meanwhile")
        meanwhile.start()
        await meanwhile.reach(committed=50)
        assert await asyncio.to_thread(all_serve, metrics, restarts=1)
        load.stop()
        meanwhile.stop()
        told, told_meanwhile = await load.end(), await meanwhile.end()
        assert await asyncio.to_thread(all_end, [killed, *lanes])
        ended = await asyncio.to_thread(server.stop)

    assert lanes
    assert set(told.refused) <= {"UNAVAILABLE"}
    assert not told_meanwhile.refused
    assert ended.code == 0
    assert f"worker 1 ({killed}) ended with -9" in ended.err
    told.authorized |= told_meanwhile.authorized
    told.committed |= told_meanwhile.committed
    told.assert_kept(postgres_ledger)


async def test_sigterm_under_load_drains_all_workers_together_and_exits_with_0(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    with several(tmp_path, postgres_ledger) as (server, _):
        everything = all_processes(server.process.pid)
        load = Load(server.address)
        load.start()
        await load.reach(committed=100)

        begun_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        told = await load.end()
        ended = await asyncio.to_thread(server.wait)

    assert time.monotonic() - begun_s < DRAIN_S
    assert (ended.code, ended.err) == (0, "")
    assert set(told.refused) == {"UNAVAILABLE"}
    assert len(everything) == 2 * WORKERS
    assert not any(map(runs, everything))
    told.assert_kept(postgres_ledger)


async def test_the_metrics_add_up_over_workers_and_outlast_one_that_leaves(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    with (
        several(tmp_path, postgres_ledger) as (server, metrics),
        connections(server.address) as channels,
    ):
        for number, channel in enumerate(channels):
            begin(channel, f"r-{number}").result()
        with pytest.raises(grpc.RpcError):
            begin(channels[0], "r-bad", "no path").result()
        before = read_metrics(metrics)
        left = pid_of(metrics, 0)

        os.kill(left, signal.SIGTERM)
        assert all_serve(metrics, restarts=1)
        assert all_end([left])
        after = read_metrics(metrics)
        assert healths(channels) == {health_pb2.HealthCheckResponse.SERVING}
        with paused(pid_of(metrics, 1)):
            begun_s = time.monotonic()
            without = read_metrics(metrics)
            took_s = time.monotonic() - begun_s
        ended = server.stop()

    for page in (before, after):
        assert page.ended("Authorize") == {"OK": CONNECTIONS, "INVALID_ARGUMENT": 1}
        operations = page.by("worker", "tollkeeper_lane_operations_total", lane="0")
        assert sum(operations.values()) == CONNECTIONS
        assert min(operations.values()) > 0
        assert page.value("tollkeeper_serving") == 1
        assert page.by("worker", "tollkeeper_worker_up") == {"0": 1, "1": 1}
        assert page.by("worker", "tollkeeper_calls_in_flight") == {"0": 0, "1": 0}
        assert page.by("worker", "tollkeeper_lane_waiting") == {"0": 0, "1": 0}
    assert after.by("worker", "tollkeeper_worker_restarts_total") == {"0": 1, "1": 0}
    # One that does not answer is waited for a moment; what it said last stands.
    assert without.ended("Authorize") == after.ended("Authorize")
    assert without.by("worker", "tollkeeper_worker_up") == {"0": 1, "1": 0}
    assert took_s < 5
    assert (ended.code, ended.err) == (0, "")


async def test_what_expires_is_ended_in_every_shard_and_a_worker_comes_back_with_the_database(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    accounts = [f"a{number}" for number in range(8)]
    async with postgres_ledger.engine() as engine:
        await fill(engine, *accounts)
        for account in accounts:
            await engine.authorize(leads(f"r-{account}", account, hold_us=1_000_000))
    name = database_name(postgres_ledger.url)
    shards = postgres_ledger.rows("SELECT DISTINCT shard % 2 FROM hold")
    with several(tmp_path, postgres_ledger) as (server, metrics):
        assert wait_until(
            lambda: postgres_ledger.number("SELECT count(*) FROM hold") == 0, timeout_s=20
        )

        with maintenance(postgres_ledger) as database:
            database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            os.kill(pid_of(metrics, 1), signal.SIGKILL)
            assert wait_until(
                lambda: read_health(metrics)[1]["workers"][1]["restarts"] > 1, timeout_s=30
            )
            assert read_health(metrics)[0] == 200
            database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        assert wait_until(
            lambda: all(each["serving"] for each in read_health(metrics)[1]["workers"]),
            timeout_s=30,
        )
        ended = server.stop()

    assert len(shards) == WORKERS
    assert ended.code == 0
    assert "worker 1 does not start: " in ended.err
    assert postgres_ledger.findings() == []


async def test_health_says_not_serving_on_every_worker_from_the_first_signal_and_the_second_ends_all(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    with (
        several(tmp_path, postgres_ledger) as (server, metrics),
        connections(server.address) as channels,
        locked_account(postgres_ledger),
    ):
        everything = all_processes(server.process.pid)
        calls = [begin(channel, f"r-{number}") for number, channel in enumerate(channels)]
        assert await asyncio.to_thread(
            wait_until,
            lambda: (
                sum(read_metrics(metrics).by("worker", "tollkeeper_calls_in_flight").values())
                == CONNECTIONS
            ),
            timeout_s=20,
        )
        serving_before = await asyncio.to_thread(read_health, metrics)

        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(
            wait_until, lambda: read_health(metrics)[0] == 503, timeout_s=DRAIN_S
        )
        told = await asyncio.to_thread(healths, channels)
        begun_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(server.process.wait)
        took_s = time.monotonic() - begun_s
        for call in calls:
            call.cancel()

    assert serving_before[0] == 200
    assert serving_before[1]["serving"]
    assert told == {health_pb2.HealthCheckResponse.NOT_SERVING}
    assert code == 128 + signal.SIGTERM
    assert took_s < DRAIN_S / 2
    assert all_end(everything)


async def test_a_worker_that_is_lost_again_and_again_ends_the_server_and_is_named(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    with several(tmp_path, postgres_ledger) as (server, _):
        other, *_ = sorted(serving_processes(server.process.pid))
        everything = all_processes(server.process.pid)
        while server.process.poll() is None:
            for pid in serving_processes(server.process.pid):
                if pid != other:
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
        ended = server.wait()

    assert ended.code == 1
    last = ended.err.splitlines()[-1]
    assert last.startswith(f"worker 1 ended {LOSSES_MAX} times in a row soon after its start")
    assert last.endswith("with exit code -9 the last time")
    assert all_end(everything)


async def test_no_process_outlives_a_supervisor_that_is_killed(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    with several(tmp_path, postgres_ledger) as (server, _):
        everything = all_processes(server.process.pid)
        taken = tollkeeper(
            *("serve", "--workers", "2", "--listen", server.address),
            *("--database", postgres_ledger.url),
        )

        server.process.kill()
        server.wait()

        assert all_end(everything)
    assert len(everything) == 2 * WORKERS
    assert (taken.code, taken.out) == (1, "")
    assert taken.err.startswith(f"cannot listen on {server.address}: another process does")


def test_what_keeps_the_first_worker_from_serving_is_said_as_one_server_does(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    postgres_ledger.execute("UPDATE alembic_version SET version_num = '0001'")

    ended = tollkeeper(
        *("serve", "--workers", "2", "--listen", "127.0.0.1:0"),
        *("--database", postgres_ledger.url),
        folder=tmp_path,
    )

    assert (ended.code, ended.out) == (1, "")
    assert "run `tollkeeper migrate`" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_port_that_somebody_shares_is_not_shared_with_him(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"

        ended = tollkeeper(
            *("serve", "--workers", "2", "--listen", address),
            *("--database", "postgresql+psycopg://ledger@127.0.0.1:1/ledger"),
            folder=tmp_path,
        )

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"cannot listen on {address}: another process does")


def test_several_workers_on_sqlite_are_refused(tmp_path: Path) -> None:
    ended = tollkeeper("serve", "--workers", "2", folder=tmp_path)

    assert (ended.code, ended.out) == (2, "")
    assert "workers is '2' (from --workers); it must be 1 on SQLite" in ended.err
