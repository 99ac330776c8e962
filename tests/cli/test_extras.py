"""What `make setup` brings, and what a command says where a part of it is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import Ended, Serving, environment_of

if TYPE_CHECKING:
    from pathlib import Path

EXTRAS = ("hdrh", "pyarrow", "h2", "tollkeeper_client")
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))
from tollkeeper.__main__ import main
main()
"""
WITHOUT_EXTRAS = WITHOUT.format(absent=EXTRAS)


def run(folder: Path, *command: str) -> Ended:
    """Run Python as this environment has it installed: nothing is added to where it looks for packages."""
    environment = {
        name: value for name, value in environment_of({}).items() if name != "PYTHONPATH"
    }
    finished = subprocess.run(
        [sys.executable, *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=environment,
    )
    return Ended(finished.returncode, finished.stdout, finished.stderr)


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["unary", "batch", "session", "client"])
def test_every_mode_of_a_load_test_works_where_make_setup_has_been(
    mode: str, tmp_path: Path
) -> None:
    options = (
        "--mode",
        mode,
        "--count",
        "20",
        "--duration",
        "1",
        "--warm-up",
        "0",
        "--expired",
        "0",
    )

    ended = run(tmp_path, "-m", "tollkeeper", "loadtest", *options, "--accounts", "2", "--json")

    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["load"]["pairs"] > 0
    assert not [*tmp_path.iterdir()]


def test_a_statement_as_parquet_works_where_make_setup_has_been(
    server: Serving, tmp_path: Path
) -> None:
    server.json("account", "create", "parquet")
    server.json("grant", "parquet", "5")
    at = ("--server", server.address)

    ended = run(tmp_path, "-m", "tollkeeper", "statement", "parquet", "--parquet", "a.parquet", *at)

    assert (ended.code, ended.err) == (0, "")
    assert (tmp_path / "a.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("loadtest", "pip install 'tollkeeper[loadtest]'"),
        ("statement a --parquet f", "pip install 'tollkeeper[parquet]'"),
    ],
)
def test_a_part_that_is_not_installed_is_named_with_how_to_install_it(
    line: str, how: str, tmp_path: Path
) -> None:
    ended = run(tmp_path, "-c", WITHOUT_EXTRAS, *line.split())

    assert ended.code == 1
    assert how in ended.err
    assert "Traceback" not in ended.err


def test_the_client_that_is_not_installed_is_named_with_how_to_install_it(tmp_path: Path) -> None:
    without = WITHOUT.format(absent=("tollkeeper_client",))

    ended = run(tmp_path, "-c", without, "loadtest", "--mode", "client", "--json")

    assert (ended.code, ended.error["reason"]) == (1, "EXTRA_MISSING")
    assert "pip install ./clients/python" in ended.error["message"]


@pytest.mark.parametrize("line", ["--help", "loadtest --help", "statement --help", "serve --help"])
def test_all_else_works_without_the_extras(line: str, tmp_path: Path) -> None:
    ended = run(tmp_path, "-c", WITHOUT_EXTRAS, *line.split())

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: tollkeeper")
