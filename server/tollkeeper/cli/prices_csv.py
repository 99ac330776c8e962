"""Price lists as CSV, for a spreadsheet: a price a row, then what is said of the list as a whole.

method,path,credits,note,charge_on
GET,/v1/leads,10,Retrieve lead data,2xx 404
#unlisted,free
#note,prices of 2027
#name,partner

Only the first three columns must be there, in any order; `charge_on` is separated by spaces. Commas,
semicolons or tabs separate cells, as the first row does. No method begins with #. A single quote before what a
spreadsheet would take for a formula is no part of the text (`spreadsheet.py`).
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from tollkeeper.cli.prices_reading import DENIED, FREE, PRICE_KEYS, UNLISTED, Read
from tollkeeper.cli.spreadsheet import CsvTable, original
from tollkeeper.core.prices import DEFAULT_LIST, Price, Unlisted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_REQUIRED = PRICE_KEYS[:3]
_UNLISTED, _NOTE, _NAME = "#unlisted", "#note", "#name"
_LIST_KEYS = (_UNLISTED, _NOTE, _NAME)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,30}")


def write_csv(
    prices: Iterable[Price], unlisted: Unlisted, note: str, name: str = DEFAULT_LIST
) -> str:
    """Write a list so that reading it gives the same list again."""
    out = io.StringIO()
    table = CsvTable(out, PRICE_KEYS)
    for price in prices:
        rule = " ".join(price.charge_on)
        table.row(price.method, price.path, price.credits, price.note, rule)
    table.row(_UNLISTED, DENIED if unlisted is Unlisted.DENIED else FREE)
    if note:
        table.row(_NOTE, note)
    if name:
        table.row(_NAME, name)
    return out.getvalue()


def read_csv(text: str) -> Read:
    """Read a list from CSV; findings name the line."""
    reading = _Reading()
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                reading.row(rows.line_num, [original(cell) for cell in row])
    except csv.Error as error:
        reading.findings.append(f"line {rows.line_num}: is not CSV: {error}")
    if reading.columns is None:
        reading.findings.append(f"line 1: is missing; it names the columns {', '.join(PRICE_KEYS)}")
    return reading.done()


class _Reading:
    def __init__(self) -> None:
        self.columns: tuple[str, ...] | None = None
        self.prices: list[Price] = []
        self.places: list[str] = []
        self.findings: list[str] = []
        self.list_keys: dict[str, str] = {}

    def done(self) -> Read:
        unlisted = UNLISTED.get(self.list_keys.get(_UNLISTED, FREE), Unlisted.FREE)
        note = self.list_keys.get(_NOTE, "")
        name = self.list_keys.get(_NAME, DEFAULT_LIST)
        prices, places = tuple(self.prices), tuple(self.places)
        return Read(prices, unlisted, note, places, tuple(self.findings), name)

    def row(self, line: int, row: Sequence[str]) -> None:
        if self.columns is None:
            self.header(line, row)
        elif row[0].startswith("#"):
            self.list_key(f"line {line}", row)
        else:
            self.price(f"line {line}", row)

    def header(self, line: int, row: Sequence[str]) -> None:
        self.columns = tuple(cell.strip() for cell in row)
        for name in self.columns:
            if name not in PRICE_KEYS:
                known = ", ".join(PRICE_KEYS)
                self.findings.append(f"line {line}: {name}: no such column; there are {known}")
            elif self.columns.count(name) > 1:
                self.findings.append(f"line {line}: {name}: is there more than once")
        self.findings.extend(
            f"line {line}: {name}: is missing" for name in _REQUIRED if name not in self.columns
        )

    def list_key(self, where: str, row: Sequence[str]) -> None:
        key, value, *rest = (*row, "")
        if key not in _LIST_KEYS:
            known = ", ".join(_LIST_KEYS)
            self.findings.append(f"{where}: {key}: no such key; there are {known}")
        elif key in self.list_keys:
            self.findings.append(f"{where}: {key}: is there twice")
        elif key == _UNLISTED and value not in UNLISTED:
            self.findings.append(f'{where}: {key}: is "{value}"; must be "free" or "denied"')
        elif any(rest):
            self.findings.append(f"{where}: {key}: has more than one cell; quote what has a comma")
        else:
            self.list_keys[key] = value

    def price(self, where: str, row: Sequence[str]) -> None:
        columns = self.columns or ()
        self.places.append(where)
        cells = dict(zip(columns, row, strict=False))
        where = f"{where} ({cells.get('method', '')} {cells.get('path', '')})"
        if any(row[len(columns) :]):
            self.findings.append(f"{where}: has {len(row)} cells for {len(columns)} columns")
        amount = cells.get("credits", "")
        whole = _WHOLE_NUMBER.fullmatch(amount) is not None
        if not whole and "credits" in columns:
            self.findings.append(f"{where}: credits: must be a whole number")
        self.prices.append(
            Price(
                cells.get("method", ""),
                cells.get("path", ""),
                int(amount) if whole else 0,
                cells.get("note", ""),
                tuple(cells.get("charge_on", "").split()),
            )
        )
