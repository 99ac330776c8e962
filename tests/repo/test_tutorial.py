"""Does what the tutorial tells a reader to do, on a server of its own, and compares what comes of it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import Serving, environment_of, serving
from tests.repo.documents import blocks, text_of
from tests.repo.transcripts import runs, same
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

TUTORIAL = "docs/tutorial/first-gateway.md"
COMMAND = ".venv/bin/tollkeeper"
LEDGER, GATEWAY = "127.0.0.1:50051", '("127.0.0.1", 8080)'
DONE_BEFORE = ("make setup", f"{COMMAND} serve --prices prices.toml")


@pytest.fixture
def ledger(tmp_path: Path) -> Generator[Serving]:
    """The server of the first step, with the tutorial's prices."""
    (prices,) = blocks(text_of(TUTORIAL), "toml")
    (tmp_path / "prices.toml").write_text(prices, encoding="utf-8")
    with serving(tmp_path, "--prices", "prices.toml") as server:
        yield server


@pytest.fixture
def gateway(ledger: Serving) -> Generator[int]:
    """The tutorial's gateway, on a port of its own."""
    (program,) = blocks(text_of(TUTORIAL), "python")
    assert LEDGER in program
    assert GATEWAY in program
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    file = ledger.folder / "gateway.py"
    text = program.replace(LEDGER, ledger.address).replace(GATEWAY, f'("127.0.0.1", {port})')
    file.write_text(text, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(file)], stderr=subprocess.DEVNULL, env=environment_of({})
    )
    try:
        assert wait_until(lambda: answers(port), timeout_s=30)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_tutorial_prints_what_it_says(ledger: Serving, gateway: int) -> None:
    transcript = [run for block in blocks(text_of(TUTORIAL), "console") for run in runs(block)]
    environment = environment_of(
        {"TOLLKEEPER_SERVER": ledger.address, "TOLLKEEPER_DATABASE": ledger.database}
    )
    environment.pop("COLUMNS")  # a pipe, as wide as it is

    for command, expected in transcript:
        if command in DONE_BEFORE:
            continue
        here = command.replace(COMMAND, f"{sys.executable} -m tollkeeper").replace(
            "127.0.0.1:8080", f"127.0.0.1:{gateway}"
        )
        printed = subprocess.run(
            ["sh", "-c", here],
            check=True,
            capture_output=True,
            text=True,
            cwd=ledger.folder,
            env=environment,
        ).stdout
        assert same(printed, expected), f"$ {command}\n{printed}"


def test_the_first_step_is_what_make_and_the_server_print() -> None:
    transcript = dict(run for block in blocks(text_of(TUTORIAL), "console") for run in runs(block))

    assert [transcript[command].strip() for command in DONE_BEFORE] == [
        "making .venv",
        f"listening on {LEDGER}",
    ]


def test_the_tutorial_links_to_what_comes_after_it() -> None:
    assert len(re.findall(r"\]\(\.\./how-to/", text_of(TUTORIAL))) >= 3


def answers(port: int) -> bool:
    with socket.socket() as found:
        found.settimeout(1)
        return found.connect_ex(("127.0.0.1", port)) == 0
