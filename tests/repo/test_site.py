"""Holds the site to its promises: no dead link, no orphan page, nothing fetched; and its prose to its rules."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.repo import picture
from tests.repo.documents import table, text_of
from tests.repo.tree import ROOT, SCRIPTS, files, name

if TYPE_CHECKING:
    from pathlib import Path

PROSE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "tools" / "prose.py"))
WORDS_MAX = 15


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the site is made of, in a folder of its own."""
    for path in files():
        if path.suffix in {".md", ".svg", ".yml"} or "tools" in path.parts:
            copied = tmp_path / name(path)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copied)
    return tmp_path


def build(clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "mkdocs", "build", "--strict"],
        check=False,
        capture_output=True,
        text=True,
        cwd=clone,
    )


@pytest.mark.slow
def test_the_site_fetches_nothing(clone: Path) -> None:
    built = build(clone)

    assert built.returncode == 0, built.stderr
    pages = list((clone / "build" / "site").rglob("*.html"))
    assert len(pages) > 40
    fetched = {
        found
        for page in pages
        for found in re.findall(
            r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^\s"'>]+""",
            page.read_text(encoding="utf-8"),
        )
    }
    assert fetched == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "added", "said"),
    [
        ("docs/how-to/orphan.md", "# A page without a place\n", "not included in the"),
        ("docs/how-to/README.md", "\n[dead](credits/nowhere.md)\n", "nowhere.md"),
        ("docs/how-to/README.md", "\n[dead](credits/prices.md#nowhere)\n", "#nowhere"),
        ("clients/README.md", "\n[dead](../docs/nowhere.md)\n", "nowhere.md"),
    ],
    ids=["orphan", "link", "anchor", "link of a page outside of docs"],
)
def test_what_leads_nowhere_fails_the_site(page: str, added: str, said: str, clone: Path) -> None:
    with (clone / page).open("a", encoding="utf-8") as file:
        file.write(added)

    built = build(clone)

    assert built.returncode != 0
    assert said in built.stderr + built.stdout


@pytest.mark.slow
def test_the_picture_is_what_the_command_shows_now() -> None:
    assert picture.draw() == picture.PICTURE.read_text(encoding="utf-8"), "run `make generate`"


def test_the_pages_that_come_from_code_are_fresh() -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "docs" / "tools" / "generate.py", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stdout) == (0, ""), f"run `make generate`: {ended.stderr}"


@pytest.mark.parametrize(
    "sentence",
    [
        "repeat with back-off and chance",
        "shortened by chance to no less than half",
        "it comes to rest where as many go as come",
        "one that is lost is replaced, and no call is told",
        "in the end all of it on PostgreSQL (after eight hours)",
        "whoever asks is told of every repeat",
        "the password belongs into the environment",
        "so that none is loaded that was not named",
        "Without: of the server that is started",
        "with their reservations from 120 columns on",
        "a caller is answered, and his neighbours do not notice",
        "nobody waits until it is durable",
        "those of all processes that it had, but for what was killed",
    ],
)
def test_a_sentence_that_readers_stumbled_over_is_a_finding(sentence: str) -> None:
    assert [pattern for pattern in PROSE["BANNED"] if re.search(pattern, sentence)]


def test_code_is_no_prose() -> None:
    text = "Text `nobody` and:\n\n    whoever\n\n```sh\nback-off\n```\n[link](nobody.md)\n"

    prose = PROSE["prose_of"](text)

    assert prose.split() == ["Text", "and:", "[link]"]
    assert prose.count("\n") == text.count("\n")


def test_the_glossary_has_at_most_fifteen_words_in_use() -> None:
    words = [row[0] for row in table(text_of("docs/reference/glossary.md"))]
    others = "\n".join(
        text_of(name(path))
        for path in files()
        if path.suffix == ".md" and path.name != "glossary.md"
    )

    assert len(words) <= WORDS_MAX
    assert [word for word in words if word not in others] == []


def test_the_dictionary_has_no_word_twice_and_none_that_is_not_needed() -> None:
    words = text_of("docs/words.txt").split()
    used = {
        word
        for path in PROSE["documents"]()
        for word in re.findall(r"[a-z]{3,}", PROSE["prose_in"](path))
    }

    assert words == sorted(set(words))
    assert [word for word in words if word not in used] == []
