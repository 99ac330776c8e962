"""The documents of this repository as their tests read them: files, tables, blocks and links."""

import re
from pathlib import Path

from tests.repo.tree import ROOT, files

TICKED = re.compile(r"`([^`]+)`")


def documents() -> list[Path]:
    """Every Markdown file."""
    return [path for path in files() if path.suffix == ".md"]


def records() -> list[Path]:
    """Every decision record, in order."""
    return [path for path in documents() if re.match(r"\d{4}-", path.name)]


def is_superseded(document: Path) -> bool:
    """Say whether a document is a record of what holds no more: it may name files that there were."""
    return "\nStatus: superseded by " in document.read_text(encoding="utf-8")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, up to the next of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {heading!r}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """Return the cells of the first table, without its head."""
    rows = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert rows is not None, "no table"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[0].splitlines()]
    return cells[2:]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def unticked(cell: str) -> str:
    return cell.strip("`")


def anchors(text: str) -> set[str]:
    """Return the names that a link can lead to: the headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
