"""Several serving processes on one port of PostgreSQL: killed, told to leave, stopped, counted, as one server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.cli.processes import tollkeeper
from tests.faults.load import under_way
from tests.faults.several import (
    CONNECTIONS,
    DRAIN_S,
    NOT_SERVING,
    SERVING,
    WORKERS,
    all_end,
    all_processes,
    all_serve,
    begin,
    calls_in_flight,
    connections,
    healths,
    locked_prices,
    maintenance,
    paused,
    pid_of,
    runs,
    serving_processes,
    several,
    watch_health,
)
from tests.support.ledgers import Ledger, fill, leads
from tests.support.pages import Metrics, read_health, read_metrics
from tests.support.postgres import database_name
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tests.support.writers import processes, writers_of
from tollkeeper.supervisor.worker_slot import LOSSES_MAX

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.postgres

MANY = 10**9


async def filled(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=MANY)


@thorough
async def test_a_worker_that_is_killed_or_told_to_leave_is_replaced_while_the_others_serve_on(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    with several(tmp_path, postgres_ledger) as (server, metrics):
        load = await under_way(server.address, committed=100)
        killed = await asyncio.to_thread(pid_of, metrics, 1)
        lanes = writers_of(killed)

        os.kill(killed, signal.SIGKILL)
        # Waited for by the supervisor, and so without sockets: its other threads may be later than the first.
        assert await asyncio.to_thread(wait_until, lambda: killed not in processes(), timeout_s=20)
        meanwhile = await under_way(server.address, "meanwhile", committed=50)
        load.stop()
        meanwhile.stop()
        told, told_meanwhile = await load.end(), await meanwhile.end()
        assert await asyncio.to_thread(all_serve, metrics, restarts=1)
        assert await asyncio.to_thread(all_end, [killed, *lanes])

        last = await under_way(server.address, "last", committed=50)
        left = await asyncio.to_thread(pid_of, metrics, 0)
        os.kill(left, signal.SIGTERM)
        assert await asyncio.to_thread(all_end, [left])
        last.stop()
        told_last = await last.end()
        assert await asyncio.to_thread(all_serve, metrics, restarts=2)
        ended = await asyncio.to_thread(server.stop)

    assert lanes
    assert set(told.refused) <= {"UNAVAILABLE"}
    assert not told_meanwhile.refused
    assert set(told_last.refused) <= {"UNAVAILABLE"}
    assert ended.code == 0
    assert f"worker 1 ({killed}) ended with -9" in ended.err
    assert f"worker 0 ({left}) ended" not in ended.err
    for more in (told_meanwhile, told_last):
        told.authorized |= more.authorized
        told.committed |= more.committed
    told.assert_kept(postgres_ledger)


@thorough
@pytest.mark.parametrize(
    "to_all",
    [False, pytest.param(True, marks=pytest.mark.thorough)],
    ids=["supervisor", "everybody"],
)
async def test_sigterm_under_load_drains_all_workers_together_and_exits_with_0(
    to_all: bool, postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    with several(tmp_path, postgres_ledger) as (server, _):
        everything = all_processes(server.process.pid)
        load = await under_way(server.address, committed=100)

        begun_s = time.monotonic()
        # A process manager may tell the supervisor, or every process that there is, in any order.
        for pid in everything if to_all else []:
            os.kill(pid, signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        told = await load.end()
        ended = await asyncio.to_thread(server.wait)

    assert time.monotonic() - begun_s < DRAIN_S
    assert (ended.code, ended.err) == (0, "")
    assert set(told.refused) == {"UNAVAILABLE"}
    assert len(everything) == 2 * WORKERS + 1, "one of them moves out for all"
    assert not any(map(runs, everything))
    told.assert_kept(postgres_ledger)


@pytest.mark.thorough
async def test_the_metrics_add_up_over_workers_and_outlast_one_that_leaves(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    held = CONNECTIONS * 10
    with (
        several(tmp_path, postgres_ledger) as (server, metrics),
        connections(server.address) as channels,
    ):
        for number, channel in enumerate(channels):
            begin(channel, f"r-{number}").result()
        with pytest.raises(grpc.RpcError):
            begin(channels[0], "r-bad", "no path").result()
        # Writers tell their work at a sweep.
        assert wait_until(lambda: held_credits(read_metrics(metrics)) == held, timeout_s=20)
        before = read_metrics(metrics)
        left = pid_of(metrics, 0)

        os.kill(left, signal.SIGTERM)
        assert all_serve(metrics, restarts=1)
        assert all_end([left])
        after = read_metrics(metrics)
        assert healths(channels) == {SERVING}
        with paused(pid_of(metrics, 1)):
            begun_s = time.monotonic()
            without = read_metrics(metrics)
            took_s = time.monotonic() - begun_s
        ended = server.stop()

    for page in (before, after):
        assert page.ended("Authorize") == {"OK": CONNECTIONS, "INVALID_ARGUMENT": 1}
        assert held_credits(page) == held
        assert page.value("tollkeeper_queue_wait_seconds_count") == CONNECTIONS
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


def held_credits(page: Metrics) -> float:
    return page.value("tollkeeper_credits_held_total")


@pytest.mark.thorough
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


@pytest.mark.thorough
async def test_one_that_leaves_is_replaced_before_it_ends_and_all_say_not_serving_when_all_stop(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await filled(postgres_ledger)
    with (
        several(tmp_path, postgres_ledger) as (server, metrics),
        connections(server.address) as channels,
        locked_prices(postgres_ledger),
    ):
        everything = all_processes(server.process.pid)
        calls = [begin(channel, f"r-{number}") for number, channel in enumerate(channels)]
        in_flight = wait_until(lambda: calls_in_flight(metrics) == CONNECTIONS, timeout_s=20)
        watches = [watch_health(channel) for channel in channels]
        told = [[next(watch)] for watch in watches]
        left = pid_of(metrics, 0)

        os.kill(left, signal.SIGTERM)
        replaced = all_serve(metrics, restarts=1)
        left_is_there = runs(left)
        before = read_health(metrics)
        everything += all_processes(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        for each, watch in zip(told, watches, strict=True):
            each.extend(watch)
        after = read_health(metrics)
        begun_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait()
        took_s = time.monotonic() - begun_s
        for call in calls:
            call.cancel()

    assert in_flight
    assert replaced
    assert left_is_there
    assert (before[0], before[1]["serving"]) == (200, True)
    # The one that left alone did not say so to those who watched it.
    assert set(map(tuple, told)) == {(SERVING,), (SERVING, NOT_SERVING)}
    assert (after[0], after[1]["serving"]) == (503, False)
    assert code == 128 + signal.SIGTERM
    assert took_s < DRAIN_S / 2
    assert all_end(everything)


@pytest.mark.thorough
async def test_a_worker_that_is_lost_again_and_again_ends_the_server_and_is_named(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    with several(tmp_path, postgres_ledger) as (server, _):
        other, *_ = sorted(serving_processes(server.process.pid))
        everything = all_processes(server.process.pid)
        async with asyncio.timeout(40):
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


@pytest.mark.thorough
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
    assert len(everything) == 2 * WORKERS + 1, "one of them moves out for all"
    assert (taken.code, taken.out) == (1, "")
    assert taken.err.startswith(f"cannot listen on {server.address}: another process does")


@thorough
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
