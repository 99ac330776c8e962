"""The end of a client: calls under way are waited for, then told; nothing hangs, and nothing is left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.repo.tree import CLIENT
from tests.support.ledgers import ACCOUNT, HELD
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper_client import AsyncClient, Client, ClientClosed, Held

if TYPE_CHECKING:
    from tests.clients.conftest import Server

PATIENT_S = 60.0
LONGEST_S = 30

FORKS = """
import os, sys
from tollkeeper_client import Client
unused, used = Client(sys.argv[1]), Client(sys.argv[1])
used.authorize("acme", "GET", "/v1/leads", request_id="parent")
child = os.fork()
if not child:
    code = 1
    try:
        used.authorize("acme", "GET", "/v1/leads", request_id="child")
    except RuntimeError as error:
        code = 0 if "before the process was forked" in str(error) else 2
    used.close()
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
used.authorize("acme", "GET", "/v1/leads", request_id="parent again")
used.close()
"""
FORKS_FIRST = """
import os, sys
from tollkeeper_client import Client
client = Client(sys.argv[1])
child = os.fork()
client.authorize("acme", "GET", "/v1/leads", request_id="parent" if child else "child")
client.close()
if not child:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
NEVER_CLOSES = """
import asyncio, sys
from tollkeeper_client import AsyncClient, Client
Client(sys.argv[1]).authorize("acme", "GET", "/v1/leads")
client = AsyncClient(sys.argv[1])
asyncio.run(client.authorize("acme", "GET", "/v1/leads"))
"""
ENDS_IN_THE_MIDDLE = """
import asyncio, sys, threading
from tollkeeper_client import AsyncClient, Client
threading.Thread(
    target=Client(sys.argv[1]).authorize, args=("acme", "GET", "/v1/leads"), daemon=True
).start()
async def main():
    client = AsyncClient(sys.argv[1])
    tasks = [asyncio.create_task(client.authorize("acme", "GET", "/v1/leads")) for _ in range(9)]
    await asyncio.sleep(0)
asyncio.run(main())
"""


async def test_closing_waits_for_the_calls_under_way(server: Server) -> None:
    client = AsyncClient(server.address)
    calls = [
        asyncio.create_task(client.authorize(ACCOUNT, "GET", "/v1/leads", timeout=PATIENT_S))
        for _ in range(50)
    ]
    await asyncio.sleep(0)

    await client.close(timeout=PATIENT_S)

    assert all(isinstance(call.result(), Held) for call in calls)
    with pytest.raises(ClientClosed, match="the client is closed"):
        await client.authorize(ACCOUNT, "GET", "/v1/leads")
    await client.close()
    assert server.ledger.states() == {HELD: 50}


@thorough
async def test_what_closing_does_not_wait_for_is_told_so(server: Server) -> None:
    client = AsyncClient(server.address)
    await client.authorize(ACCOUNT, "GET", "/v1/leads", request_id="warm")
    with server.paused():
        calls = [
            asyncio.create_task(
                client.authorize(
                    ACCOUNT, "GET", "/v1/leads", request_id=f"r-{n}", timeout=PATIENT_S
                )
            )
            for n in range(50)
        ]
        await asyncio.sleep(0)
        begun_s = time.monotonic()
        await client.close(timeout=0.2)
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert time.monotonic() - begun_s < LONGEST_S
    assert [each.key for each in ended if isinstance(each, ClientClosed)] == [
        f"r-{n}" for n in range(50)
    ]


@thorough
async def test_closing_does_not_wait_for_a_pause_between_attempts(server: Server) -> None:
    server.stop()
    client = AsyncClient(server.address)
    call = asyncio.create_task(client.authorize(ACCOUNT, "GET", "/v1/leads", timeout=PATIENT_S))
    await asyncio.sleep(0)

    await client.close(timeout=0.5)

    with pytest.raises(ClientClosed):
        await call


@thorough
def test_threads_that_wait_are_told_when_the_client_is_closed(server: Server) -> None:
    client = Client(server.address)
    client.authorize(ACCOUNT, "GET", "/v1/leads")
    with server.paused(), ThreadPoolExecutor(10) as threads:
        calls = [
            threads.submit(client.authorize, ACCOUNT, "GET", "/v1/leads", timeout=PATIENT_S)
            for _ in range(10)
        ]
        assert wait_until(lambda: all(each.running() for each in calls), timeout_s=LONGEST_S)
        client.close(timeout=0.2)
        errors = [each.exception(LONGEST_S) for each in calls]

    assert all(isinstance(each, ClientClosed) for each in errors)


@thorough
@pytest.mark.parametrize(
    ("script", "holds"),
    [(FORKS, 2), (FORKS_FIRST, 2), (NEVER_CLOSES, 2), (ENDS_IN_THE_MIDDLE, None)],
    ids=["forks after use", "forks before use", "never closes", "ends in the middle"],
)
def test_a_process_ends_without_a_word(server: Server, script: str, holds: int | None) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, server.address],
        check=False,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        env={"PYTHONPATH": str(CLIENT.parent)},
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert holds is None or server.ledger.states() == {HELD: holds}
