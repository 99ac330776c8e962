"""Lays tables out in the width there is, so that no figure and no id is ever cut or broken.

What does not fit side by side is tried with its texts broken at blanks, then without columns that say nothing; then
each row becomes a record, one cell a line. A line may still be longer than the width where one word of it is: a
terminal breaks it by itself, and copies it whole.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from tollkeeper.cli.terminal.visible import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

GAP = "  "
_MARGIN = " "
_TEXT_MIN = 16
"""A text is not broken into columns narrower than this, unless it is shorter."""


class Line(NamedTuple):
    """One line, and how it is to look; a line of a record begins with its name, blanks behind it included."""

    text: str
    style: str = ""
    name: str = ""


class Table:
    """Rows of cells under headings.

    Columns in `numbers` stand to the right. Those in `numbers` and `ids` are never broken. Where there is no room,
    those in `zeros` are left out if every cell of them is 0, and then the one that is `spare`.
    """

    def __init__(
        self,
        *columns: str,
        numbers: Collection[str] = (),
        ids: Collection[str] = (),
        zeros: Collection[str] = (),
        spare: str | None = None,
    ) -> None:
        self.columns = columns
        self.numbers, self.ids = frozenset(numbers), frozenset(ids)
        self.zeros, self.spare = frozenset(zeros), spare
        self.rows: list[tuple[str, ...]] = []
        self.footer: tuple[str, ...] = ()

    def add_row(self, *cells: str) -> None:
        """Add a row; cells that are left out at its end are empty."""
        missing = len(self.columns) - len(cells)
        self.rows.append((*map(visible, cells), *[""] * missing))

    def add_footer(self, *cells: str) -> None:
        """Add the row of totals."""
        self.footer = tuple(map(visible, cells))

    def fits(self, width: int | None) -> bool:
        """Say whether the columns find room side by side."""
        return self._arranged(width) is not None

    def leaves_out_spare(self, width: int | None) -> bool:
        """Say whether the column that is to spare is not shown."""
        arranged = self._arranged(width)
        return arranged is not None and self.spare not in arranged.names

    def transposed(self, *columns: str) -> Table:
        """Return the table with a column for each row, all of figures but the first; `columns` are its headings."""
        turned = Table(*columns, numbers=columns[1:], ids=columns[:1])
        for name, *cells in list(zip(self.columns, *self.rows, strict=True))[1:]:
            turned.add_row(name, *cells)
        return turned

    def lines(self, width: int | None, *, ascii_only: bool = False) -> list[Line]:
        """Return the table in at most so many columns (None: any), or as records."""
        arranged = self._arranged(width)
        return self._records(width) if arranged is None else arranged.lines(ascii_only=ascii_only)

    def _arranged(self, width: int | None) -> _Arranged | None:
        every = range(len(self.columns))
        telling = [index for index in every if not self._says_nothing(index)]
        needed = [index for index in telling if self.columns[index] != self.spare]
        for chosen in (every, telling, needed):
            arranged = _Arranged(self, chosen, width)
            if width is None or arranged.width <= width:
                return arranged
        return None

    def _says_nothing(self, index: int) -> bool:
        cells = (row[index] for row in self._all_rows())
        return self.columns[index] in self.zeros and all(cell == "0" for cell in cells)

    def _all_rows(self) -> list[tuple[str, ...]]:
        return [*self.rows, self.footer] if self.footer else self.rows

    def _records(self, width: int | None) -> list[Line]:
        lines: list[Line] = []
        label = max(map(cell_len, self.columns))
        for row in self._all_rows():
            if lines:
                lines.append(Line(""))
            pairs = zip(self.columns, row, strict=True)
            lines += records(pairs, width, whole=self.numbers | self.ids, label=label)
        return lines


class _Arranged:
    """Some columns of a table side by side, with texts broken as far as needed and as far as may be."""

    def __init__(self, table: Table, chosen: Iterable[int], width: int | None) -> None:
        self._table = table
        self._columns = list(chosen)
        self._widths = [self._natural(index) for index in self._columns]
        if width is not None:
            self._widths = self._shrunk(width)

    @property
    def names(self) -> list[str]:
        return [self._table.columns[index] for index in self._columns]

    @property
    def width(self) -> int:
        return len(_MARGIN) + sum(self._widths) + len(GAP) * (len(self._widths) - 1)

    def lines(self, *, ascii_only: bool) -> list[Line]:
        lines = [Line(text, "bold") for text in self._row(self.names, is_head=True)]
        lines.append(Line(("-" if ascii_only else "─") * self.width))
        for row in self._table.rows:
            lines += map(Line, self._row([row[index] for index in self._columns]))
        if self._table.footer:
            cells = [self._table.footer[index] for index in self._columns]
            lines += [Line(text, "bold") for text in self._row(cells)]
        return lines

    def _cells(self, index: int) -> list[str]:
        rows = [*self._table.rows, self._table.footer] if self._table.footer else self._table.rows
        return [row[index] for row in rows]

    def _natural(self, index: int) -> int:
        return max(map(cell_len, [self._table.columns[index], *self._cells(index)]))

    def _least(self, index: int) -> int:
        """Return how narrow a column may become: headings and texts are broken at blanks alone."""
        name = self._table.columns[index]
        words = name.split(" ")
        if self._may_break(index):
            words += [word for cell in self._cells(index) for word in cell.split(" ")]
            return max(*map(cell_len, words), min(_TEXT_MIN, self._natural(index)))
        return max(map(cell_len, [*words, *self._cells(index)]))

    def _may_break(self, index: int) -> bool:
        return self._table.columns[index] not in self._table.numbers | self._table.ids

    def _shrunk(self, width: int) -> list[int]:
        """Take from the widest column that can give, until the table fits or none can."""
        widths = list(self._widths)
        least = [self._least(index) for index in self._columns]
        for _ in range(self.width - width):
            giving = [at for at in range(len(widths)) if widths[at] > least[at]]
            if not giving:
                break
            widths[max(giving, key=widths.__getitem__)] -= 1
        return widths

    def _row(self, cells: Sequence[str], *, is_head: bool = False) -> list[str]:
        parts = [
            wrapped(cell, width) if is_head or self._may_break(index) else [cell]
            for cell, width, index in zip(cells, self._widths, self._columns, strict=True)
        ]
        height = max(map(len, parts))
        lines: list[str] = []
        for at in range(height):
            line = _MARGIN + GAP.join(
                self._padded(part[at] if at < len(part) else "", width, index)
                for part, width, index in zip(parts, self._widths, self._columns, strict=True)
            )
            lines.append(line.rstrip())
        return lines

    def _padded(self, text: str, width: int, index: int) -> str:
        blanks = " " * (width - cell_len(text))
        is_number = self._table.columns[index] in self._table.numbers
        return blanks + text if is_number else text + blanks


def records(
    pairs: Iterable[tuple[str, str]],
    width: int | None,
    *,
    whole: Collection[str] = (),
    styles: Mapping[str, str] = MappingProxyType({}),
    label: int = 0,
) -> list[Line]:
    """Return names and values below each other, without those that have no value; those in `whole` are not broken.

    Names take `label` columns, or more where one is longer. A value without a name stands at the left, as a heading
    of what follows.
    """
    told = [(name, value) for name, value in pairs if value]
    label = max([label, *(cell_len(name) for name, _ in told)])
    room = None if width is None else width - label - len(GAP)
    lines: list[Line] = []
    for name, value in told:
        if not name:
            lines.append(Line(value, "bold"))
            continue
        parts = [value] if name in whole else wrapped(value, room)
        for at, part in enumerate(parts):
            head = name if at == 0 else ""
            blanks = " " * (label - cell_len(head))
            lines.append(Line(part, styles.get(name, ""), f"{head}{blanks}{GAP}"))
    return lines


def wrapped(text: str, width: int | None) -> list[str]:
    """Break a text at blanks into lines of at most so many columns; a word that is longer stays whole."""
    if width is None or cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and cell_len(longer) > width:
            lines.append(line.rstrip())
            line = word
        else:
            line = longer
    return [*lines, line]
