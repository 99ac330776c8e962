"""The published service config: true to the protos and to errors.md, and kept by the retries of gRPC's own clients."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import pytest

from tests.cli.processes import Serving, serving
from tests.clients.line import line_to
from tests.repo.documents import section, table, text_of, unticked
from tests.repo.registered import every_rpc
from tests.repo.tree import ROOT
from tests.support.go import go_program
from tests.support.pages import read_metrics
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    Client = Callable[[str, Path | None, Path], AbstractAsyncContextManager["Caller"]]

CONFIG = ROOT / "clients" / "service_config.json"
ERRORS = text_of("docs/reference/errors.md")
READS = re.compile(r"\w+\.(Get|List|Explain)")
AUTHORIZE = "/tollkeeper.v1.LedgerService/Authorize"
REQUEST = ledger_pb2.AuthorizeRequest(
    account_id="acme", method="GET", path="/v1/leads", request_id="r-1"
)
SOON_S = 60
ANSWER_BYTES = 50
"""A short answer has more, and the words of HTTP/2 alone have less."""


def entries() -> dict[str, dict[str, Any]]:
    """What the file says of each method, which it names as `Service.Method`."""
    found: dict[str, dict[str, Any]] = {}
    for each in json.loads(CONFIG.read_text(encoding="utf-8"))["methodConfig"]:
        for name in each["name"]:
            method = f"{name['service'].removeprefix('tollkeeper.v1.')}.{name['method']}"
            assert method not in found, f"{method} is named twice"
            found[method] = each
    return found


def repeatable(rpc: str) -> bool:
    """Say whether errors.md lets a caller repeat this call: it has a key, it only reads, or it carries such calls."""
    named = {cell for row in table(section(ERRORS, "Repeating a call")) for cell in row[:1]}
    calls = {each.strip() for cell in named for each in cell.split(",")}
    keyed = "request_id" in every_rpc()[rpc].input_type.fields_by_name
    name = rpc.partition(".")[2]
    return keyed or name in calls or READS.match(rpc) is not None or name == "Batch"


def test_each_method_of_the_protos_is_named_once() -> None:
    assert entries().keys() == every_rpc().keys()


def test_exactly_the_calls_that_can_be_repeated_are_repeated() -> None:
    streams = {
        rpc
        for rpc, method in every_rpc().items()
        if method.client_streaming or method.server_streaming
    }

    retried = {rpc for rpc, each in entries().items() if "retryPolicy" in each}

    assert retried == {rpc for rpc in every_rpc() if repeatable(rpc)} - streams
    assert "WebhookService.TestWebhook" not in retried
    assert {rpc for rpc, each in entries().items() if "timeout" not in each} == streams


def test_exactly_the_codes_are_repeated_that_always_allow_it() -> None:
    rows = table(section(ERRORS, "Errors"))
    helps: dict[str, set[str]] = {}
    for row in rows:
        helps.setdefault(unticked(row[1]), set()).add(row[3])
    of_the_ledger = {code for code, repeat in helps.items() if repeat == {"yes"}}
    without_details = re.findall(
        r"^- `(\w+)` without an `ErrorInfo`: (.*(?:\n  .*)*)", ERRORS, re.MULTILINE
    )
    never = {code for code, text in without_details if "A\n  repeat does not help" in text}

    codes = {
        code
        for each in entries().values()
        for code in each.get("retryPolicy", {}).get("retryableStatusCodes", ())
    }

    assert never == {"RESOURCE_EXHAUSTED"}
    assert codes == of_the_ledger - never == {"UNAVAILABLE"}


# -- real clients


class Caller(Protocol):
    """A client that uses the file, or none."""

    async def __call__(self, request: ledger_pb2.AuthorizeRequest) -> str:
        """Authorize, and return the name of the code in capitals."""
        ...


@asynccontextmanager
async def python_client(address: str, config: Path | None, into: Path) -> AsyncGenerator[Caller]:
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
    if config is not None:
        options.append(("grpc.service_config", text_of_file(config)))
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        authorize: Any = channel.unary_unary(
            AUTHORIZE,
            ledger_pb2.AuthorizeRequest.SerializeToString,
            ledger_pb2.AuthorizeResponse.FromString,
        )

        async def call(request: ledger_pb2.AuthorizeRequest) -> str:
            try:
                await authorize(request)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        yield call


@asynccontextmanager
async def go_client(address: str, config: Path | None, into: Path) -> AsyncGenerator[Caller]:
    program = await asyncio.to_thread(go_program, "clients/go_client", into)
    given = [] if config is None else [str(config)]
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(
        str(program), "ask", address, *given, stdin=pipe, stdout=pipe
    )
    assert client.stdin is not None
    assert client.stdout is not None
    stdin, stdout = client.stdin, client.stdout

    async def call(request: ledger_pb2.AuthorizeRequest) -> str:
        stdin.write(f"{AUTHORIZE} {request.SerializeToString().hex()}\n".encode())
        line = (await stdout.readline()).decode().strip()
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", line).upper()

    try:
        yield call
    finally:
        stdin.close()
        await client.wait()


def text_of_file(path: Path) -> str:
    return path.read_text(encoding="utf-8")


CLIENTS = [
    pytest.param(python_client, id="python"),
    pytest.param(go_client, id="go", marks=[pytest.mark.slow, thorough]),
]


def with_time(folder: Path) -> Path:
    """The file with longer timeouts, so that a busy machine has the time for a start."""
    patient = folder / "service_config.json"
    text = CONFIG.read_text(encoding="utf-8")
    patient.write_text(re.sub(r'"timeout": "\d+s"', f'"timeout": "{SOON_S}s"', text), "utf-8")
    return patient


@asynccontextmanager
async def served(folder: Path, *arguments: str) -> AsyncGenerator[tuple[Serving, str]]:
    """Run a server with an account; yields the address of its metrics too."""
    running = serving(folder, "--metrics-listen", "127.0.0.1:0", *arguments)
    server = await asyncio.to_thread(running.__enter__)
    try:
        assert server.process.stdout is not None
        server.lines.append(server.process.stdout.readline())
        metrics = server.lines[-1].removeprefix("metrics on http://").removesuffix("/metrics\n")
        yield server, metrics
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def ended(metrics: str, calls: int) -> dict[str, int]:
    """How the calls to Authorize have ended, once there were so many."""

    def count() -> dict[str, int]:
        return dict(read_metrics(metrics).ended("Authorize"))

    await asyncio.to_thread(wait_until, lambda: sum(count().values()) >= calls, timeout_s=SOON_S)
    return await asyncio.to_thread(count)


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_call_is_repeated_when_the_server_is_restarted(
    client: Client, tmp_path: Path
) -> None:
    async with served(tmp_path) as (first, _):
        address = first.address
        async with client(address, with_time(tmp_path), tmp_path) as call:
            before = await call(REQUEST)
            await asyncio.to_thread(first.stop)
            meanwhile = asyncio.create_task(call(REQUEST))
            async with served(tmp_path, "--listen", address):
                after = await asyncio.wait_for(meanwhile, SOON_S)

    assert (before, after) == ("OK", "OK")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("config", "told"), [(True, "OK"), (False, "UNAVAILABLE")])
async def test_a_call_whose_answer_was_lost_is_repeated_with_the_file_alone(
    client: Client, config: bool, told: str, tmp_path: Path
) -> None:
    async with served(tmp_path) as (server, metrics), line_to(server.address) as line:
        file = with_time(tmp_path) if config else None
        async with client(line.address, file, tmp_path) as call:
            assert await call(REQUEST) == "OK"
            line.cut_answers(ANSWER_BYTES)
            answer = await asyncio.wait_for(call(REQUEST), SOON_S)
        counted = await ended(metrics, 3 if config else 2)

    assert (line.cuts, answer) == (1, told)
    assert counted == {"OK": 3 if config else 2}


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_call_that_is_wrong_is_sent_once(client: Client, tmp_path: Path) -> None:
    wrong = ledger_pb2.AuthorizeRequest(account_id="", method="GET", path="/v1/leads")

    async with served(tmp_path) as (server, metrics):
        async with client(server.address, CONFIG, tmp_path) as call:
            answer = await call(wrong)
            assert await call(REQUEST) == "OK"
        counted = await ended(metrics, 2)

    assert answer == "INVALID_ARGUMENT"
    assert counted == {"INVALID_ARGUMENT": 1, "OK": 1}
