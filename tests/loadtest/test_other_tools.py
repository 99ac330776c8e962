"""The recipes for other tools, as docs/how-to/operate/load-test.md has them, where those tools are installed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import environment_of
from tests.repo.documents import blocks, text_of
from tests.repo.tree import ROOT
from tests.support.thorough import thorough

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.processes import Serving

pytestmark = thorough

DOCUMENT = "docs/how-to/operate/load-test.md"
ADDRESS = "127.0.0.1:50051"
END_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def loaded(server: Serving) -> Serving:
    """A server with the account that the recipes charge."""
    accounts = next(block for block in blocks(text_of(DOCUMENT), "sh") if "account create" in block)
    for line in accounts.splitlines():
        assert server.run(*shlex.split(line)[1:]).code == 0
    return server


def test_k6_pays_for_what_it_holds(loaded: Serving, tmp_path: Path) -> None:
    needs("k6")
    (tmp_path / "pairs.js").write_text(blocks(text_of(DOCUMENT), "js")[0])

    ended = run(recipe("k6 run", loaded), tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "✓ charged" in ended.stdout
    assert "checks_failed......: 0.00%" in ended.stdout
    assert loaded.json("overview", "load")["total"]["requests"] >= 150


@pytest.mark.thorough
def test_ghz_authorizes(loaded: Serving) -> None:
    needs("ghz")

    ended = run(recipe("ghz", loaded), ROOT)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "[OK]   500 responses" in ended.stdout
    assert loaded.json("overview", "load")["balance"]["held"] > 0


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed; {DOCUMENT} says how")


def recipe(begin: str, server: Serving) -> str:
    text = next(block for block in blocks(text_of(DOCUMENT), "sh") if block.startswith(begin))
    assert ADDRESS in text
    return text.replace(ADDRESS, server.address)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
        cwd=folder,
        env=environment_of({}),
    )
