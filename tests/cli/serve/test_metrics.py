"""What a server shows over HTTP: `/metrics` and `/healthz`."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cli.processes import Serving, serving, tollkeeper
from tests.support.pages import read, read_health, read_metrics
from tests.support.thorough import thorough
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ANY = ("--metrics-listen", "127.0.0.1:0")


@contextmanager
def shown(folder: Path) -> Generator[tuple[Serving, str]]:
    with serving(folder, *ANY) as server:
        assert server.process.stdout is not None
        server.lines.append(server.process.stdout.readline())
        yield server, server.lines[-1].removeprefix("metrics on http://").partition("/")[0]


def in_flight(address: str) -> float:
    return read_metrics(address).value("tollkeeper_calls_in_flight", worker="0")


def test_one_process_shows_its_calls_its_lane_and_its_health(tmp_path: Path) -> None:
    with shown(tmp_path) as (server, address):
        server.json("account", "create", "acme")
        server.run("account", "show", "nobody")
        # A caller may have its refusal a moment before the call is counted as ended.
        wait_until(lambda: in_flight(address) == 0, timeout_s=5)
        metrics = read_metrics(address)
        status, health = read_health(address)
        unknown, _ = read(f"http://{address}/")
        ended = server.stop()

    assert metrics.ended("CreateAccount") == {"OK": 1}
    assert metrics.ended("GetAccount") == {"NOT_FOUND": 1}
    assert metrics.value("tollkeeper_serving") == 1
    assert metrics.value("tollkeeper_worker_up", worker="0") == 1
    assert metrics.value("tollkeeper_worker_restarts_total", worker="0") == 0
    assert metrics.value("tollkeeper_calls_in_flight", worker="0") == 0
    assert metrics.value("tollkeeper_lane_operations_total", worker="0", lane="0") == 1
    assert metrics.value("tollkeeper_lane_batches_total", worker="0", lane="0") == 1
    assert metrics.value("tollkeeper_lane_waiting", worker="0", lane="0") == 0
    assert (status, health["serving"]) == (200, True)
    assert [(each["worker"], each["pid"]) for each in health["workers"]] == [
        (0, server.process.pid)
    ]
    assert unknown == 404
    assert ended.out == f"listening on {server.address}\nmetrics on http://{address}/metrics\n"
    assert (ended.code, ended.err) == (0, "")


@thorough
def test_an_address_for_metrics_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = tollkeeper(
            "serve", "--listen", "127.0.0.1:0", "--metrics-listen", address, folder=tmp_path
        )

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"cannot listen on {address} for metrics: another process does")
    assert not (tmp_path / "tollkeeper.db").exists()
