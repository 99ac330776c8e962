"""What a script can tell a command's end by: those of docs/reference/command-line.md, of real processes too."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from tests.cli.commands import every_leaf, has_option, minimal
from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, here, tollkeeper
from tests.repo.documents import section, table, text_of, unticked
from tests.support.thorough import thorough
from tollkeeper.cli import client
from tollkeeper.cli.failure import ExitCode, Why

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

DOCUMENT = "docs/reference/command-line.md"
NOWHERE = "127.0.0.1:1"
CLIENTS = {name: each for name, each in every_leaf().items() if has_option(each, "--server")}


@contextlib.contextmanager
def answering(status: status_pb2.Status | None, code: grpc.StatusCode) -> Generator[str]:
    """A server that ends every call with a status, or (OK) never."""

    def end(_: bytes, context: grpc.ServicerContext) -> bytes:
        if code is grpc.StatusCode.OK:
            while context.is_active():
                gone.wait(0.05)
        elif status is None:
            context.abort(code, "by the test")
        else:
            context.abort_with_status(cast("Any", rpc_status).to_status(status))
        return b""

    class Everything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            return cast("Any", grpc).unary_unary_rpc_method_handler(end)

    gone = threading.Event()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[Everything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        gone.set()
        server.stop(None).wait()


def status_of(code: grpc.StatusCode, reason: str) -> status_pb2.Status:
    packed = AnyMessage()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="tollkeeper"))
    return status_pb2.Status(code=code.value[0], message="not now", details=[packed])


def test_the_documented_exit_codes_are_those_of_the_code() -> None:
    documented = [int(row[0]) for row in table(section(text_of(DOCUMENT), "Exit codes"))]

    assert documented == [*ExitCode]


def test_the_documented_reasons_are_those_of_the_code() -> None:
    rows = table(section(text_of(DOCUMENT), "Reasons"))
    documented = {unticked(row[0]): int(row[1]) for row in rows}

    assert list(documented) == [*Why]
    assert set(documented.values()) <= {*ExitCode}


@thorough
def test_processes_end_with_the_documented_codes(server: Serving, tmp_path: Path) -> None:
    server.json("account", "create", "poor")
    server.json("account", "create", "rich")
    server.json("grant", "rich", "100")

    ends = {
        line: tollkeeper(*line.split(), environment={"TOLLKEEPER_SERVER": address}).code
        for line, address in (
            ("authorize rich GET /v1/leads", server.address),
            ("account show nobody", server.address),
            ("account show", server.address),
            ("authorize poor GET /v1/leads", server.address),
            ("authorize poor GET /v1/leads --dry-run", server.address),
            ("authorize rich GET /v1/leads --quiet", NOWHERE),
            (f"verify --database sqlite:///{tmp_path}/none.db", ""),
            ("serve --workers none", ""),
        )
    }

    assert [*ends.values()] == [0, 1, 2, 3, 3, 4, 1, 2]


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_command_ends_with_4_where_there_is_no_server(
    name: str, tmp_path: Path
) -> None:
    line = minimal(name, CLIENTS[name])
    if "FILE" in {parameter.metavar for parameter in CLIENTS[name].params[:1]}:
        document = tmp_path / "openapi.json"
        document.write_text('{"openapi": "3.1.0", "paths": {}}', encoding="utf-8")
        line[-1] = str(document if name == "prices annotate-openapi" else PRICES)

    person = here(*line, "--server", NOWHERE)
    script = here(*line, "--server", NOWHERE, "--json")

    assert (person.code, person.out) == (4, "")
    assert person.err.startswith(f"no Tollkeeper server answers at {NOWHERE}")
    assert (script.code, script.error["reason"]) == (4, "SERVER_UNREACHABLE")


@pytest.mark.parametrize(
    ("code", "reason", "expected", "said"),
    [
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", 4, "STORE_UNAVAILABLE"),
        (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", 4, "SHUTTING_DOWN"),
        (grpc.StatusCode.UNAVAILABLE, None, 4, "SERVER_LOST"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, None, 4, "NO_ANSWER"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 1, "OVERLOADED"),
        (grpc.StatusCode.INTERNAL, None, 1, "INTERNAL"),
        (grpc.StatusCode.UNIMPLEMENTED, None, 1, "WRONG_SERVER"),
        (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND", 1, "ACCOUNT_NOT_FOUND"),
    ],
)
def test_what_a_server_says_decides_the_exit_code(
    code: grpc.StatusCode, reason: str | None, expected: int, said: str
) -> None:
    status = None if reason is None else status_of(code, reason)

    with answering(status, code) as address:
        ended = here("grant", "acme", "5", "--request-id", "r-1", "--server", address, "--json")

    assert ended.code == expected
    assert (ended.error["reason"], ended.error["status"]) == (said, code.name)
    assert ended.error["request_id"] == "r-1"
    assert ("--request-id r-1" in ended.error["message"]) == (
        code.name in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"}
    )


def test_a_server_that_does_not_answer_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CALL_TIMEOUT_S", 0.2)

    with answering(None, grpc.StatusCode.OK) as address:
        ended = here("account", "show", "acme", "--server", address, "--json")

    assert (ended.code, ended.error["reason"]) == (4, "NO_ANSWER")
    assert ended.error["status"] == "DEADLINE_EXCEEDED"
