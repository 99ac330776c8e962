"""The package itself: what its README shows works, and it needs nothing of the server."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

from tests.repo.documents import blocks, text_of
from tests.repo.tree import CLIENT, ROOT
from tests.support.ledgers import ACCOUNT, COMMITTED, RELEASED
from tests.support.thorough import thorough
from tollkeeper_client import Client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Server

pytestmark = thorough

EXAMPLE_LINES_MAX = 22
APART = """
import sys
import tollkeeper_client
assert not [name for name in sys.modules if name.partition(".")[0] == "tollkeeper"]
"""
IN_ANY_ORDER = """
from tollkeeper.v1 import ledger_pb2 as servers
from tollkeeper_client.v1 import ledger_pb2 as clients
batch = clients.BatchRequest()
batch.operations.add().authorize.account_id = "acme"
assert servers.BatchRequest.FromString(batch.SerializeToString()).operations[0].authorize.account_id == "acme"
"""


async def test_the_middleware_of_the_readme_pays_for_valid_responses_alone(server: Server) -> None:
    example = blocks(text_of("clients/python/README.md"), "python")[0]
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 -- the README's own
    answers = iter([200, 500])

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": next(answers)})
        await send({"type": "http.response.body", "body": b"leads"})

    async def call(account: str, path: bytes = b"/v1/leads") -> int:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await gate({"account": account, "method": "GET", "raw_path": path}, None, send)
        return sent[0]["status"]

    gate = names["Tollgate"](application, server.address)
    statuses = [await call(ACCOUNT), await call(ACCOUNT), await call("nobody")]
    await gate.ledger.close()

    assert statuses == [200, 500, 403]
    assert len(example.splitlines()) <= EXAMPLE_LINES_MAX
    assert server.ledger.states() == {COMMITTED: 1, RELEASED: 1}


def test_the_job_of_the_readme_holds_its_price_until_its_end(server: Server) -> None:
    names: dict[str, Any] = {}
    exec(blocks(text_of("clients/python/README.md"), "python")[1], names)  # noqa: S102 -- as above
    deadlines: list[int] = []

    def part() -> None:
        deadlines.append(server.ledger.number("SELECT max(expires_us) FROM reservation"))

    with Client(server.address) as client:
        held = names["run"](client, ACCOUNT, "GET", "/v1/leads", "job", [part] * 3)
        free = names["run"](client, ACCOUNT, "GET", "/v1/free", "free", [part])
        denied = names["run"](client, "nobody", "GET", "/v1/leads", "denied", [part])

    assert (held, free, denied) == (200, 200, 403)
    assert len(deadlines) == 4
    assert len(set(deadlines)) == 4  # each part has let the hold last longer
    assert server.ledger.states() == {COMMITTED: 1}


def test_the_client_needs_nothing_of_the_server() -> None:
    run(APART, CLIENT.parent)


def test_client_and_server_live_in_one_process_with_messages_of_their_own() -> None:
    run(IN_ANY_ORDER, CLIENT.parent, ROOT / "server")


def test_the_wheel_has_the_code_its_types_and_nothing_else(tmp_path: Path) -> None:
    flags = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *flags, str(CLIENT.parent)], check=True, cwd=tmp_path
    )

    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {"tollkeeper_client/py.typed", "tollkeeper_client/v1/ledger_pb2.pyi"} <= names
    assert {name.partition("/")[0] for name in names} == {"tollkeeper_client"}


def test_the_bounds_that_the_documents_name_are_those_of_the_code() -> None:
    from tollkeeper_client import batching, calls, requests  # noqa: PLC0415 -- beside the texts

    shape = text_of("clients/README.md")
    readme = text_of("clients/python/README.md")

    assert (
        f"up to {batching.OPERATIONS_MAX:,} operations and {batching.BYTES_MAX >> 20} MiB" in shape
    )
    assert f"at most {batching.ATTEMPT_S:.0f} s" in shape
    pauses = f"from {calls.PAUSE_S * 1_000:.0f} ms, doubled up to {calls.PAUSE_MAX_S:.0f} s"
    assert pauses in shape
    assert f"`timeout`, {calls.TIMEOUT_S:.0f} s" in readme
    assert f"under way, {calls.CLOSE_S:.0f} s" in readme
    assert re.search(rf"for up\s+to {requests.SETTLE_S:.0f} s", readme)


def run(script: str, *path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        check=True,
        env={"PYTHONPATH": ":".join(map(str, path))},
    )
