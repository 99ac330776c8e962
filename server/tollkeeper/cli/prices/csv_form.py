"""Price lists as CSV, for a spreadsheet: a price a row, then what is said of the list as a whole.

method,path,credits,note,charge_on
GET,/v1/leads,10,Retrieve lead data,2xx 404
#unlisted,free
#note,prices of 2027
#name,partner

Only the first three columns must be there, in any order; `charge_on` is separated by spaces. Commas,
semicolons or tabs separate cells, as the first row does, or as a row `sep=;` before it says. No method begins
with #. A single quote before what a spreadsheet would take for a formula is no part of the text (`spreadsheet.py`).
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from tollkeeper.cli.prices.reading import (
    DENIED,
    FREE,
    PRICE_KEYS,
    UNLISTED,
    Finding,
    Location,
    Read,
    known_form,
    named,
)
from tollkeeper.cli.spreadsheet import CsvTable, original
from tollkeeper.core.pricing.price_lists import DEFAULT_LIST, Price, Unlisted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_REQUIRED = PRICE_KEYS[:3]
_UNLISTED, _NOTE, _NAME = "#unlisted", "#note", "#name"
_LIST_KEYS = (_UNLISTED, _NOTE, _NAME)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,30}")
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?')


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
    said = _SEPARATOR.fullmatch(first)
    delimiter = said[1] if said else max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in rows:
            if any(cell.strip() for cell in row) and not (said and rows.line_num == 1):
                reading.row(rows.line_num, [original(cell) for cell in row])
    except csv.Error as error:
        reading.found(rows.line_num, f"is not CSV: {error}")
    if reading.columns is None:
        reading.found(1, f"is missing; it names the columns {', '.join(PRICE_KEYS)}")
    return reading.done()


class _Reading:
    def __init__(self) -> None:
        self.columns: tuple[str, ...] | None = None
        self.is_lost = False
        self.prices: list[Price] = []
        self.places: list[Location] = []
        self.findings: list[Finding] = []
        self.list_keys: dict[str, str] = {}

    def done(self) -> Read:
        return Read(
            tuple(self.prices),
            UNLISTED.get(self.list_keys.get(_UNLISTED, FREE), Unlisted.FREE),
            self.list_keys.get(_NOTE, ""),
            tuple(self.places),
            tuple(self.findings),
            self.list_keys.get(_NAME, DEFAULT_LIST),
            self.is_lost or self.columns is None,
        )

    def found(self, line: int, fault: str) -> None:
        self.findings.append(Finding(line, f"line {line}: {fault}"))

    def row(self, line: int, row: Sequence[str]) -> None:
        if self.columns is None:
            self.header(line, row)
        elif row[0].lstrip().startswith("#"):
            self.list_key(line, row)
        else:
            self.price(line, row)

    def header(self, line: int, row: Sequence[str]) -> None:
        names = [*map(known_form, row)]
        while names and not names[-1]:  # a spreadsheet's empty columns
            names.pop()
        self.columns = tuple(names)
        known = ", ".join(PRICE_KEYS)
        for number, name in enumerate(self.columns):
            if not name:
                self.found(line, f"column {number + 1} has no heading; there are {known}")
            elif name not in PRICE_KEYS:
                self.found(line, f"{row[number].strip()}: no such column; there are {known}")
            elif name in self.columns[:number]:
                self.found(line, f"{name}: is there more than once")
                self.is_lost = True
        for name in _REQUIRED:
            if name not in self.columns:
                self.found(line, f"{name}: is missing")
                self.is_lost = True

    def list_key(self, line: int, row: Sequence[str]) -> None:
        given, value, *rest = (*row, "")
        key = f"#{known_form(given.strip()[1:])}"
        if key != _NOTE:
            value = value.strip()
        if key == _UNLISTED:
            value = value.lower()
        if key not in _LIST_KEYS:
            known = ", ".join(_LIST_KEYS)
            self.found(line, f"{given.strip()}: no such key; there are {known}")
        elif key in self.list_keys:
            self.found(line, f"{key}: is there twice")
        elif key == _UNLISTED and value not in UNLISTED:
            self.found(line, f'{key}: is "{value}"; must be "free" or "denied"')
        elif any(rest):
            self.found(line, f"{key}: has more than one cell; quote what has a comma")
        else:
            self.list_keys[key] = value

    def price(self, line: int, row: Sequence[str]) -> None:
        columns = self.columns or ()
        place, index = Location(line, f"line {line}"), len(self.prices)
        cells = {name: cell.strip() for name, cell in zip(columns, row, strict=False)}
        note = dict(zip(columns, row, strict=False)).get("note", "")
        where = named(place, cells.get("method", ""), cells.get("path", ""))
        if any(cell.strip() for cell in row[len(columns) :]):
            more = f"{where}: has {len(row)} cells for {len(columns)} columns"
            self.findings.append(Finding(line, more, index, "cells"))
        amount = cells.get("credits", "")
        whole = _WHOLE_NUMBER.fullmatch(amount) is not None
        if not whole and "credits" in columns:
            wrong = f"{where}: credits: must be a whole number"
            self.findings.append(Finding(line, wrong, index, "credits"))
        self.places.append(place)
        self.prices.append(
            Price(
                cells.get("method", ""),
                cells.get("path", ""),
                int(amount) if whole else 0,
                note,
                tuple(cells.get("charge_on", "").split()),
            )
        )
