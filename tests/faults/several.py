"""A server of several processes, which of them there are, and what connections to them are told."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.cli.processes import Serving, serving
from tests.support.ledgers import ACCOUNT, Ledger
from tests.support.pages import read_health, read_metrics
from tests.support.waiting import wait_until
from tests.support.writers import parent_of, processes, writers_of
from tollkeeper.storage.lane.postgres_sql import PRICE_LOCK
from tollkeeper.supervisor.child import WORKER_MODULE
from tollkeeper.v1 import ledger_pb2
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

WORKERS = 2
DRAIN_S = 15
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
            return WORKER_MODULE.encode() in words.read().split(b"\0")
    except OSError:
        return False


def all_processes(supervisor: int) -> list[int]:
    """The serving processes of a supervisor, and those of their lanes."""
    ours = serving_processes(supervisor)
    return [*ours, *(lane for pid in ours for lane in writers_of(pid))]


def runs(pid: int) -> bool:
    """Whether a process has not ended; one that its parent has not waited for has."""
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


def watch_health(channel: grpc.Channel) -> Iterator[int]:
    """What a connection is told of health, until the process that it leads to stops."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    for answer in stub.Watch(health_pb2.HealthCheckRequest(), timeout=60):
        yield answer.status


def calls_in_flight(metrics: str) -> int:
    return sum(read_metrics(metrics).by("worker", "tollkeeper_calls_in_flight").values())


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
def locked_prices(ledger: Ledger) -> Generator[None]:
    """Keep the lanes waiting, as for a price list that is being published."""
    url = ledger.url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (PRICE_LOCK,))
        yield
