"""The commands of clients/README.md for other languages, pasted as they are, against the server of `make run`."""

import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.processes import Serving, environment_of, serving
from tests.repo.documents import blocks, section, text_of
from tests.repo.tree import ROOT
from tests.support.ledgers import Ledger
from tollkeeper.rpc.reflection import SERVICE_NAMES
from tollkeeper.rpc.server import SERVICES

PAGE = "clients/README.md"
PASTED_TIMEOUT_S = 240
PRINTED = "10 credits held for GET /v1/leads\n10 credits charged, 990 are left\n"

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the project, as far as the commands see it, after `make setup`."""
    clone = tmp_path / "clone"
    for folder in ("proto", "clients/examples"):
        shutil.copytree(ROOT / folder, clone / folder)
    (clone / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    return clone


@pytest.fixture
def server(tmp_path: Path) -> Generator[Serving]:
    folder = tmp_path / "served"
    folder.mkdir()
    with serving(folder, command=("tollkeeper.cli.demo",)) as server:
        yield server


def needed(*programs: str, named: str) -> None:
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"no {named} here ({', '.join(missing)})")


def commands(language: str) -> str:
    """The commands of a language, as the page has them."""
    (found,) = blocks(section(text_of(PAGE), language), "sh")
    return found


def pasted(script: str, clone: Path, server: Serving) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-euc", script],
        check=False,
        capture_output=True,
        text=True,
        cwd=clone,
        env=environment_of({"TOLLKEEPER_SERVER": server.address}),
        timeout=PASTED_TIMEOUT_S,
    )


def assert_charged_by(caller: str, script: str, clone: Path, server: Serving) -> None:
    """The commands hold and charge; their last line is what runs the program, and tells an error by its reason."""
    finished = pasted(script, clone, server)

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.endswith(PRINTED)
    ledger = Ledger(server.database)
    assert ledger.rows("SELECT authorized_by, settled_by, http_status FROM reservation") == [
        (caller, caller, 200)
    ]
    assert ledger.balance("demo") == (990, 0)

    file = server.folder / "tollkeeper.db"
    file.rename(server.folder / "away.db")
    last = script.rstrip().splitlines()[-1]
    refused = pasted(last, clone, server)
    (server.folder / "away.db").rename(file)

    assert refused.returncode != 0
    assert refused.stderr.startswith("STORE_UNAVAILABLE"), refused.stderr
    assert ledger.balance("demo") == (990, 0)


@pytest.mark.thorough
def test_a_gateway_in_go_is_made_as_the_page_says(clone: Path, server: Serving) -> None:
    needed("go", named="Go")

    assert_charged_by("gateway-go", commands("Go"), clone, server)

    # With its module at hand: reflection, asked by gRPC's own stubs.
    asking = clone / "build" / "go" / "reflect"
    asking.mkdir()
    shutil.copy(Path(__file__).with_name("ask_reflection.go"), asking / "main.go")
    told = pasted(
        f"cd build/go && gofmt -l *.go reflect && go run ./reflect {server.address}", clone, server
    )
    assert told.returncode == 0, told.stderr
    named = sorted([*SERVICES, "grpc.health.v1.Health", *SERVICE_NAMES])
    assert told.stdout.splitlines() == [
        f"{each} {name}" for each in ("v1", "v1alpha") for name in named
    ]


@pytest.mark.thorough
def test_a_gateway_in_typescript_is_made_as_the_page_says(clone: Path, server: Serving) -> None:
    needed("node", "npm", named="Node.js")

    assert_charged_by("gateway-ts", commands("TypeScript"), clone, server)


def test_the_examples_name_every_version_and_no_registry() -> None:
    package = (ROOT / "clients/examples/typescript/package.json").read_text(encoding="utf-8")
    versions = re.findall(r'"(?:@[\w-]+/)?[\w-]+": "([^a-z"]*\d[^"]*)"', package)

    assert len(versions) >= 5
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    assert "@latest" not in text_of(PAGE)
    for lock in ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock"):
        assert not (ROOT / "clients/examples/typescript" / lock).exists()
    assert PRINTED.strip().splitlines() == re.findall(
        r"^    (10 credits .*)$", section(text_of(PAGE), "Go"), re.MULTILINE
    )
