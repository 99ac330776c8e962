"""Tables for spreadsheets: the one writer of CSV, and texts that no spreadsheet runs.

A spreadsheet takes a cell that begins with = + - @, a tab or a line break for a formula, and some take the full-width
forms of those signs as well. A text that begins so is written with a single quote before it, as OWASP advises ("CSV
Injection"); numbers are left alone. Quotes that stand before such a sign already get one more, so that a reader can
take away exactly what was put there.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

QUOTE = "'"
_SIGNS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(f"{QUOTE}*[{_SIGNS}]")
_QUOTED = re.compile(f"{QUOTE}+[{_SIGNS}]")
_FIRST = frozenset(_SIGNS.replace("\\", "") + QUOTE)


class Writer(Protocol):
    """Takes texts one after the other."""

    def write(self, text: str, /) -> object:
        """Take one."""
        ...


class CsvTable:
    """Writes rows of CSV, the names of the columns first."""

    def __init__(self, to: Writer, columns: Iterable[str]) -> None:
        self._writer = csv.writer(to, lineterminator="\n")
        self.row(*columns)

    def row(self, *cells: str | int) -> None:
        """Write a row: texts so that no spreadsheet runs them, and numbers as they are."""
        self._writer.writerow([inert(cell) if type(cell) is str else cell for cell in cells])


def inert(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula."""
    # Nearly every text is told by its first character.
    return QUOTE + text if text[:1] in _FIRST and _FORMULA.match(text) else text


def original(cell: str) -> str:
    """Return the text of a cell that `inert` has written."""
    return cell[1:] if _QUOTED.match(cell) else cell
