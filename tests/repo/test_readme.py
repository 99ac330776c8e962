"""Does what the README tells a reader to do, and compares what comes of it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.repo.documents import blocks, text_of
from tests.repo.transcripts import runs, same
from tests.repo.tree import ROOT, files, name
from tests.support.waiting import wait_until
from tollkeeper.v1 import admin_pb2, admin_pb2_grpc

README = "README.md"
LINES_MAX = 75
EXAMPLE_LINES_MAX = 12
COMMAND = ".venv/bin/tollkeeper"
ADDRESS = "127.0.0.1:50051"


@dataclass(frozen=True)
class Demo:
    """What `make run` has started, in a folder of its own."""

    address: str
    printed: str
    environment: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Generator[Demo]:
    """Run `make run` in a copy of the tree, with the environment that runs the tests as .venv."""
    folder = tmp_path_factory.mktemp("clone")
    copy_tree(folder)
    environment = clean_environment(folder)
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["make", "--assume-old=setup", "run", f"BIN={Path(sys.executable).parent}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment | {"TOLLKEEPER_LISTEN": "127.0.0.1:0"},
            start_new_session=True,
        )
    try:
        assert wait_until(
            lambda: "Ctrl-C" in log.read_text() or server.poll() is not None, timeout_s=60
        )
        printed = log.read_text()
        listening = re.search(r"listening on (\S+)", printed)
        assert listening is not None, printed
        address = listening[1]
        yield Demo(address, printed, environment | {"TOLLKEEPER_SERVER": address}, folder)
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=60)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def test_the_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) < LINES_MAX
    assert len(example().splitlines()) <= EXAMPLE_LINES_MAX


def test_the_two_commands_are_verbs_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [
        command for block in blocks(text_of(README), "console") for command, _ in runs(block)
    ]

    assert commands[:2] == ["make run", "make test"]
    for command in commands[:2]:
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE)


@pytest.mark.slow
def test_make_run_prints_what_the_readme_says(demo: Demo) -> None:
    expected = dict(runs(blocks(text_of(README), "console")[0]))["make run"]

    printed = demo.printed.replace(f" --server {demo.address}", "").replace(demo.address, ADDRESS)
    printed = re.sub(
        r"[^\s\"(]+(?:/| -m )tollkeeper (?=authorize|commit|overview)", f"{COMMAND} ", printed
    )

    assert same(printed, expected.replace("making .venv\n", ""))


@pytest.mark.slow
def test_the_three_commands_of_the_readme_do_what_they_say(demo: Demo) -> None:
    said = dict(runs(blocks(text_of(README), "console")[0]))["make run"]
    commands = re.findall(rf"^  ({re.escape(COMMAND)} .*)$", said, re.MULTILINE)

    printed = [shell(command, demo) for command in commands]

    assert [page.splitlines()[0] for page in printed] == [
        "10 credits held for GET /v1/leads",
        "10 credits charged: valid_response",
        "",
    ]
    assert "Credit Cost Overview of demo" in printed[2]


@pytest.mark.slow
def test_the_gateway_of_the_readme_pays_for_valid_responses_alone(demo: Demo) -> None:
    handle = gateway(demo)
    before = settled(demo)

    statuses = [
        handle("demo", "GET", "/v1/leads", lambda: 200),
        handle("demo", "GET", "/v1/leads", lambda: 500),
        handle("demo", "GET", "/v1/free", lambda: 204),
    ]

    assert statuses == [200, 500, 204]
    assert settled(demo) == before - 10


@pytest.mark.slow
def test_the_gateway_of_the_readme_processes_nothing_that_is_denied(demo: Demo) -> None:
    processed: list[str] = []

    status = gateway(demo)("nobody", "GET", "/v1/leads", lambda: processed.append("it") or 200)

    assert status == 403
    assert not processed


def example() -> str:
    return blocks(text_of(README), "python")[0]


def gateway(demo: Demo) -> Callable[..., int]:
    assert ADDRESS in example()
    names: dict[str, Any] = {}
    exec(example().replace(ADDRESS, demo.address), names)  # noqa: S102 -- the README's own
    return names["handle"]


def settled(demo: Demo) -> int:
    with grpc.insecure_channel(demo.address) as channel:
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        answer = admin.GetAccount(admin_pb2.GetAccountRequest(account_id="demo"), timeout=10)
    return answer.account.balance.settled


def shell(command: str, demo: Demo) -> str:
    interpreted = command.replace(COMMAND, f"{sys.executable} -m tollkeeper")
    finished = subprocess.run(
        ["sh", "-c", interpreted],
        check=True,
        capture_output=True,
        text=True,
        cwd=demo.folder,
        env=demo.environment,
    )
    return finished.stdout


def copy_tree(target: Path) -> None:
    for path in files():
        copied = target / name(path)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copied)


def clean_environment(folder: Path) -> dict[str, str]:
    """Set nothing that a reader has not set, but where this copy's code is."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "TOLLKEEPER", "PYTEST", "COLUMNS", "MAKE", "MFLAGS"))
    }
    return kept | {"PYTHONPATH": str(folder / "server")}
