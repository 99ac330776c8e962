"""Stops of a server whose callers never pause: a refused caller calls again at once, on its connection."""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
import pytest

from tests.cli.processes import Serving, serving
from tests.rpc.wire import read_refusal
from tests.support.go import go_program
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.v1 import ledger_pb2
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

pytestmark = thorough

CALLERS = 32
CHANNELS = 4
STOPS = 3
SOON_S = 10.0
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
METHOD = "/tollkeeper.v1.LedgerService/Authorize"
DENIED = ledger_pb2.AuthorizeRequest(
    account_id="nobody", method="GET", path="/v1/leads", request_id="r-1"
)


def call_from_threads(server: Serving, tmp_path: Path) -> Counter[str]:
    """Callers of Python, each a thread."""
    del tmp_path
    told = Counter[str]()
    channels = [grpc.insecure_channel(server.address, OPTIONS) for _ in range(CHANNELS)]

    def call_on(stub: LedgerServiceStub) -> None:
        ended = ""
        while ended in {"", "SHUTTING_DOWN"}:
            try:
                stub.Authorize(DENIED, timeout=SOON_S)
                told["OK"] += 1
            except grpc.RpcError as error:
                refusal = read_refusal(cast("grpc.aio.AioRpcError", error))
                ended = refusal.reason or refusal.code.name
                told[ended] += 1

    stubs = [LedgerServiceStub(channels[n % CHANNELS]) for n in range(CALLERS)]
    threads = [threading.Thread(target=call_on, args=(stub,)) for stub in stubs]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: told["OK"] > 10 * CALLERS, timeout_s=SOON_S)
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(SOON_S)
    for channel in channels:
        channel.close()
    return told


def call_from_go(server: Serving, tmp_path: Path) -> Counter[str]:
    """Callers of Go, each a goroutine."""
    arguments = ("call", server.address, str(CALLERS), METHOD, DENIED.SerializeToString().hex())
    program = go_program("clients/go_client", tmp_path)
    with subprocess.Popen([str(program), *arguments], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "calling\n"
        server.process.send_signal(signal.SIGTERM)
        told = Counter[str](json.loads(client.stdout.readline()))
        assert client.wait(SOON_S) == 0
    return told + Counter({"UNAVAILABLE": told.pop("Unavailable")})


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(call_from_threads, id="threads"),
        pytest.param(call_from_go, id="go", marks=pytest.mark.thorough),
    ],
)
def test_of_callers_who_never_pause_nobody_is_told_cancelled(
    call: Callable[[Serving, Path], Counter[str]], tmp_path: Path
) -> None:
    told = Counter[str]()
    for _ in range(STOPS):
        with serving(tmp_path, "--log-level", "error") as server:
            told += call(server, tmp_path)
            begun_s = time.monotonic()
            ended = server.wait()
        assert time.monotonic() - begun_s < SOON_S
        assert (ended.code, ended.err) == (0, "")

    assert told.keys() <= {"OK", "SHUTTING_DOWN", "UNAVAILABLE"}
    assert told["UNAVAILABLE"] == STOPS * CALLERS
    assert 0 < told["SHUTTING_DOWN"] <= STOPS * CALLERS
