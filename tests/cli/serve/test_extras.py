"""What `make setup` brings, and what a command says where a part of it is not installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import every_command
from tests.cli.conftest import PRICES
from tests.cli.processes import Ended, Serving, environment_of, serving
from tests.repo.tree import ROOT
from tests.support.thorough import thorough
from tollkeeper.__main__ import EXTRA_CLI
from tollkeeper.cli.loadtest import SUMMARY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = thorough

EXTRAS = ("altair", "hdrh", "jinja2", "pyarrow", "tollkeeper_client", "vl_convert")
CLI = ("plotext", "rich", "ruamel", "ruamel.yaml", "typer")
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))
from tollkeeper.__main__ import main
main()
"""
WITHOUT_EXTRAS = WITHOUT.format(absent=EXTRAS)
WITHOUT_ANYTHING = WITHOUT.format(absent=(*EXTRAS, *CLI))
HEALTH = f"""
import sys
sys.modules.update(dict.fromkeys({(*EXTRAS, *CLI)!r}))
from tollkeeper.cli.health import main
sys.exit(main(sys.argv[1:]))
"""
LOADED = """
import sys
from tollkeeper.__main__ import main
try:
    main()
except SystemExit:
    print([name for name in sys.modules if name.startswith(("tollkeeper_loadtest", "altair"))])
"""


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
        ("loadtest --output a.html", "pip install 'tollkeeper[loadtest]'"),
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


def test_a_page_is_refused_before_the_load_where_its_charts_cannot_be_drawn(tmp_path: Path) -> None:
    without = WITHOUT.format(absent=("vl_convert",))

    ended = run(tmp_path, "-c", without, "loadtest", "--output", "a.html", "--json")

    assert (ended.code, ended.error["reason"], ended.out) == (1, "EXTRA_MISSING", "")
    assert "pip install 'tollkeeper[loadtest]'" in ended.error["message"]


def test_the_load_test_is_not_loaded_by_other_commands(tmp_path: Path) -> None:
    ended = run(tmp_path, "-c", LOADED, "--help")

    assert "loadtest " in ended.out
    assert ended.out.splitlines()[-1] == "[]"


def test_the_load_test_is_summed_up_as_it_does_itself() -> None:
    own = every_command()["loadtest"].help

    assert own.split("\n\n")[0] == SUMMARY


def test_a_server_needs_nothing_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(WITHOUT_ANYTHING)
    (tmp_path / "settings.toml").write_text("hold_default_s = 7\n")
    command = ("bare", "serve", "--config", "settings.toml")

    with serving(tmp_path, command=command, environment={"TOLLKEEPER_PRICES": str(PRICES)}) as bare:
        bare.json("account", "create", "acme")
        bare.json("grant", "acme", "100")
        held = bare.json("authorize", "acme", "GET", "/v1/leads")
        healthy = run(tmp_path, "-c", HEALTH, bare.address)
        ended = bare.stop()

    lasts = times(held["reservation"]["expire_time"]) - times(held["reservation"]["create_time"])
    assert lasts.total_seconds() == 7
    assert (healthy.code, healthy.out, healthy.err) == (0, "", "")
    assert ended.code == 0


@pytest.mark.parametrize(
    "line", ["", "--help", "overview acme", "migrate", "serve --listen :0", "serve --config"]
)
def test_all_but_serving_says_what_to_install(line: str, tmp_path: Path) -> None:
    ended = run(tmp_path, "-c", WITHOUT_ANYTHING, *line.split())

    assert (ended.code, ended.out) == (1, "")
    assert "pip install 'tollkeeper[cli]'" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_script_is_told_what_to_install_too(tmp_path: Path) -> None:
    ended = run(tmp_path, "-c", WITHOUT_ANYTHING, "overview", "acme", "--json")

    assert (ended.code, ended.error["reason"]) == (1, "EXTRA_MISSING")


def test_a_server_without_the_command_line_says_what_is_wrong_with_its_settings(
    tmp_path: Path,
) -> None:
    ended = run(tmp_path, "-c", WITHOUT_ANYTHING, "serve", "--config", "nowhere.toml")

    assert (ended.code, ended.err) == (
        2,
        "nowhere.toml: cannot be read: no such file or directory\n",
    )


def test_the_extra_is_what_its_absence_is_known_by() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["cli"]

    names = {re.split(r"[.>=]", requirement)[0] for requirement in extra}
    assert names == set(EXTRA_CLI)
    needed = {re.split(r"[.>=\[]", requirement)[0] for requirement in project["dependencies"]}
    assert not names & needed


def times(text: str) -> datetime:
    return datetime.fromisoformat(text)
