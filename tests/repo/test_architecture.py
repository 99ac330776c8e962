"""The page on the architecture is true: its picture, its table of places, and the path of a call."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.documents import section, table, text_of
from tests.repo.path_of_a_call import files_of_an_authorize
from tests.repo.tree import ROOT, SERVER, parse
from tests.support.ledgers import new_ledger

PAGE = "docs/explanation/architecture.md"
LINES_MAX = 150
FILE = re.compile(r"`([\w/]+\.py)`")
STEP = r"^\d+\. .*\n(?: {3,}.*\n)*"


def test_the_page_stays_a_page() -> None:
    assert len(text_of(PAGE).splitlines()) <= LINES_MAX


def test_the_picture_shows_the_imports_as_they_are() -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "docs" / "tools" / "imports.py", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("row", table(section(text_of(PAGE), "Where is …")), ids=lambda row: row[0])
def test_what_a_newcomer_looks_for_is_where_the_page_says(row: list[str]) -> None:
    _, places, name = row
    defined = [names_of(SERVER / file) for file in FILE.findall(places)]

    assert defined
    assert name.strip("`") in set().union(*defined)


async def test_an_authorize_runs_through_the_files_of_the_page_in_their_order(
    tmp_path: Path,
) -> None:
    steps = re.findall(STEP, section(text_of(PAGE), "The path of an Authorize"), re.MULTILINE)
    named = FILE.findall("".join(steps))

    ledger = new_ledger(f"sqlite:///{tmp_path}/ledger.db")

    entered = await files_of_an_authorize(ledger.url, tmp_path)

    assert named == entered


def names_of(path: Path) -> set[str]:
    """Return what a file defines: functions, classes, constants, and `Class.method`."""
    found: set[str] = set()
    for node in parse(path).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.add(node.name)
            case ast.ClassDef():
                found.add(node.name)
                found |= {
                    f"{node.name}.{each.name}"
                    for each in node.body
                    if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                }
            case ast.Assign():
                found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case _:
                pass
    return found
