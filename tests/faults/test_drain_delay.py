"""A server that is told to stop says so at once, and serves on for `drain_delay_s`, so that others turn elsewhere."""

import os
import signal
import time
from pathlib import Path

import grpc
import pytest

from tests.cli.processes import serving
from tests.faults.several import (
    NOT_SERVING,
    SERVING,
    WORKERS,
    connections,
    healths,
    serving_processes,
    several,
)
from tests.support.ledgers import Ledger
from tests.support.pages import read_health
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.config import Settings
from tollkeeper.supervisor.messages import end_within_s
from tollkeeper.v1 import ledger_pb2
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

pytestmark = thorough

DELAY_S = 4
LONG_S = 60
SOON_S = 10


def is_answered(channel: grpc.Channel) -> bool:
    request = ledger_pb2.AuthorizeRequest(
        account_id="nobody", method="GET", path="/", request_id="r-1"
    )
    return LedgerServiceStub(channel).Authorize(request, timeout=SOON_S).HasField("denial")


def test_a_server_serves_on_while_it_says_that_it_does_not(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--drain-delay-s", str(DELAY_S)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        before = healths([channel])
        begun_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: healths([channel]) == {NOT_SERVING}, timeout_s=SOON_S)
        answered = is_answered(channel)
        with connections(server.address) as new:
            assert all(map(is_answered, new))
        at_s = time.monotonic() - begun_s
        ended = server.wait()

    assert before == {SERVING}
    assert answered
    assert at_s < DELAY_S <= time.monotonic() - begun_s < SOON_S
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.thorough
@pytest.mark.parametrize("to_all", [False, True], ids=["supervisor", "everybody"])
def test_all_workers_say_so_and_serve_on(
    to_all: bool, postgres_ledger: Ledger, tmp_path: Path
) -> None:
    with (
        several(tmp_path, postgres_ledger, "--drain-delay-s", str(DELAY_S)) as (server, metrics),
        connections(server.address) as channels,
    ):
        before = healths(channels)
        begun_s = time.monotonic()
        for pid in serving_processes(server.process.pid) if to_all else []:
            os.kill(pid, signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: healths(channels) == {NOT_SERVING}, timeout_s=SOON_S)
        status, page = read_health(metrics)
        assert all(map(is_answered, channels))
        at_s = time.monotonic() - begun_s
        ended = server.wait()

    assert before == {SERVING}
    assert (status, page["serving"], len(page["workers"])) == (503, False, WORKERS)
    assert at_s < DELAY_S <= time.monotonic() - begun_s < 2 * SOON_S
    assert (ended.code, ended.err) == (0, "")


def test_a_second_signal_does_not_wait_for_the_delay(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--drain-delay-s", str(LONG_S)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        begun_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: healths([channel]) == {NOT_SERVING}, timeout_s=SOON_S)
        ended = server.stop()

    assert ended.code == 128 + signal.SIGTERM
    assert time.monotonic() - begun_s < SOON_S


def test_a_supervisor_waits_for_the_delay_too() -> None:
    short, long = (Settings.load({"drain_delay_s": delay}) for delay in (0, LONG_S))

    assert end_within_s(long) - end_within_s(short) == LONG_S
