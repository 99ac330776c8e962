"""A client without asyncio, as most gateways are: pytest-grpc's stub against a running server.

pytest-grpc would run the servicers in a thread pool; ours need their event loop, so its fixtures
for the server and the address are replaced, and those for the channel and the stub are used.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from typing import Any

import grpc
import pytest

from tests.repo.tree import ROOT
from tests.rpc.requests import request
from tests.rpc.wire import read_refusal
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

STOP_TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def grpc_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The port of a server in a process of its own, over a SQLite file."""
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.db"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.rpc.serving", f"sqlite:///{ledger}"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "server")])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        assert process.wait(STOP_TIMEOUT_S) == 0


@pytest.fixture(scope="module")
def grpc_addr(grpc_server: str) -> str:
    return f"127.0.0.1:{grpc_server}"


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[LedgerServiceStub]:
    return LedgerServiceStub


@pytest.fixture(scope="module")
def admin(grpc_channel: grpc.Channel) -> AdminServiceStub:
    stub = AdminServiceStub(grpc_channel)
    stub.PublishPrices(request("PublishPrices"))
    stub.CreateAccount(request("CreateAccount", account_id="acme"))
    stub.GrantCredits(request("GrantCredits", credits=15))
    return stub


def test_a_request_is_authorized_and_charged(grpc_stub: Any, admin: AdminServiceStub) -> None:
    held = grpc_stub.Authorize(request("Authorize"))
    charged = grpc_stub.Commit(
        request("Commit", reservation_id=held.reservation.reservation_id, http_status=200)
    )
    denied = grpc_stub.Authorize(request("Authorize", request_id="r-2"))

    assert held.balance.available == 5
    assert (charged.credits, charged.balance.settled) == (10, 5)
    assert denied.denial.http_status == 402
    assert denied.denial.message == "account acme has 5 credits available; GET /v1/leads costs 10"


def test_a_refusal_tells_its_reason(grpc_stub: Any, admin: AdminServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.Release(request("Release", reservation_id="1a-2b"))

    refusal = read_refusal(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
