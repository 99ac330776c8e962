"""Connections that are let go because of their age, under load: callers notice nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from tests.cli.processes import serving
from tests.clients.line import Line, line_to
from tests.support.go import go_program
from tests.support.thorough import thorough
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from pathlib import Path

METHOD = "/tollkeeper.v1.LedgerService/Authorize"
DENIED = ledger_pb2.AuthorizeRequest(
    account_id="acme", method="GET", path="/v1/leads", request_id="r"
).SerializeToString()
AGED = ("--connection-age-s", "1", "--log-level", "error")
CALLERS = 32
FOR_S = 5.0
SOON_S = 60.0


class CountingLine(Line):
    """A line that says how many connections were made."""

    made = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        await super().serve(reader, writer)


async def call_for_a_while(address: str, told: Counter[str]) -> None:
    until_s = time.monotonic() + FOR_S
    async with grpc.aio.insecure_channel(address) as channel:
        authorize: Any = cast("Any", channel).unary_unary(METHOD, None, None)

        async def call_on() -> None:
            while time.monotonic() < until_s:
                try:
                    await authorize(DENIED)
                except grpc.aio.AioRpcError as error:
                    told[error.code().name] += 1
                else:
                    told["OK"] += 1

        await asyncio.gather(*[call_on() for _ in range(CALLERS)])


@pytest.mark.slow
async def test_no_call_fails_while_connections_are_let_go(tmp_path: Path) -> None:
    told = Counter[str]()
    running = serving(tmp_path, *AGED)
    server = await asyncio.to_thread(running.__enter__)
    try:
        async with line_to(server.address, CountingLine) as line:
            await call_for_a_while(line.address, told)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)

    assert told.keys() == {"OK"}
    assert line.made >= 3  # each lives for 1.1 s at most


@pytest.mark.slow
@thorough
def test_no_call_of_go_fails_while_connections_are_let_go(tmp_path: Path) -> None:
    program = go_program("clients/go_client", tmp_path)
    with serving(tmp_path, *AGED) as server:
        arguments = ("call", server.address, str(CALLERS), METHOD, DENIED.hex())
        with subprocess.Popen(
            [str(program), *arguments], stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "calling\n"
            with pytest.raises(subprocess.TimeoutExpired):
                client.wait(FOR_S)  # it ends with its last caller, and none has had an error
            server.process.send_signal(signal.SIGTERM)
            told = Counter[str](json.loads(client.stdout.readline()))
            assert client.wait(SOON_S) == 0
        server.wait()

    assert told.keys() <= {"OK", "SHUTTING_DOWN", "Unavailable"}
    assert told["Unavailable"] == CALLERS  # the end of each, when the server was gone
