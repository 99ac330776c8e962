"""Price lists as JSON and as CSV: what is exported can be published, and what is wrong is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.json_form import to_dict
from tollkeeper.cli.price_lists import from_message, to_message
from tollkeeper.cli.prices_csv import read_csv, write_csv
from tollkeeper.cli.prices_file import PriceFile, read_prices
from tollkeeper.core.prices import Price, Unlisted

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "method,path,credits,note,charge_on\n"

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
rules = st.lists(st.sampled_from(["2xx", "3xx", "404"]), max_size=3).map(tuple)
lists = st.builds(
    PriceFile,
    st.dictionaries(st.from_regex(r"/[a-z]{1,5}", fullmatch=True), st.tuples(texts, rules)).map(
        lambda found: tuple(
            Price("GET", path, len(path) ** 9, note, rule) for path, (note, rule) in found.items()
        )
    ),
    st.sampled_from(Unlisted),
    texts,
    st.sampled_from(["", "partner", "eu/gold:2.0@a_b-c"]),
)


def read(text: str, folder: Path, ending: str) -> PriceFile:
    file = folder / f"prices.{ending}"
    file.write_bytes(text.encode())
    return read_prices(file)


def findings(text: str, folder: Path, ending: str) -> list[str]:
    with pytest.raises(CommandError) as failed:
        read(text, folder, ending)
    before = f"{folder / 'prices'}.{ending}: "
    lines = failed.value.message.splitlines()
    assert all(line.startswith(before) for line in lines)
    return [line.removeprefix(before) for line in lines]


@given(lists)
def test_csv_gives_back_what_it_was_made_of(file: PriceFile) -> None:
    found = read_csv(write_csv(*file))

    assert not found.findings
    assert PriceFile(found.prices, found.unlisted, found.note, found.name) == file


def test_json_gives_back_what_it_was_made_of(tmp_path: Path) -> None:
    file = PriceFile(
        (Price("*", "/v1/{a}/**", 10**12, 'é "x"', ("2xx", "404")), Price("GET", "/b", 0)),
        Unlisted.DENIED,
        "prices of 2027",
        "partner",
    )
    message = to_message(file)
    message.version = 7
    message.effective_time.FromJsonString("2027-01-01T00:00:00Z")

    assert read(json.dumps(to_dict(message)), tmp_path, "json") == file
    assert from_message(message) == file


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_as_spreadsheets_write_it(delimiter: str, tmp_path: Path) -> None:
    rows = "path,method,credits\r\n/v1/leads,GET,10\r\n,,\r\n#unlisted,denied,\r\n#note,new,\r\n"

    found = read("\ufeff" + rows.replace(",", delimiter), tmp_path, "CSV")

    assert found == PriceFile((Price("GET", "/v1/leads", 10),), Unlisted.DENIED, "new")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["line 1: is missing; it names the columns method, path, credits, note, charge_on"]),
        ("method,credits\n", ["line 1: path: is missing"]),
        (
            "method,path,cost,credits,path\n",
            [
                "line 1: path: is there more than once",
                "line 1: cost: no such column; there are method, path, credits, note, charge_on",
                "line 1: path: is there more than once",
            ],
        ),
        (HEAD + "GET,/a,1.5", ["line 2 (GET /a): credits: must be a whole number"]),
        (HEAD + 'GET,/a,"1,000"', ["line 2 (GET /a): credits: must be a whole number"]),
        (HEAD + "GET,/a", ["line 2 (GET /a): credits: must be a whole number"]),
        (HEAD + "GET,/a,1,n,2xx,404", ["line 2 (GET /a): has 6 cells for 5 columns"]),
        (HEAD + 'GET,/a,1,"n" n', ["line 2: is not CSV: ',' expected after '\"'"]),
        (
            HEAD + "#currency,EUR",
            ["line 2: #currency: no such key; there are #unlisted, #note, #name"],
        ),
        (HEAD + "#unlisted,maybe", ['line 2: #unlisted: is "maybe"; must be "free" or "denied"']),
        (HEAD + "#note,a\n#note,b", ["line 3: #note: is there twice"]),
        (HEAD + "#note,a,b", ["line 2: #note: has more than one cell; quote what has a comma"]),
        (
            HEAD + "get,/a,1\n\nGET,/b,-1\nGET,/c,1,,6xx\nGET,/c/,1\n",
            [
                "line 2 (get /a): method: must be * or an HTTP method in upper case",
                "line 4 (GET /b): credits: must be between 0 and 1000000000000",
                'line 5 (GET /c): charge_on[0]: must be such as "2xx" or "404"',
                "line 6 (GET /c/): path: is the same pattern as line 5.path",
            ],
        ),
    ],
)
def test_what_is_wrong_with_csv_is_named_by_its_line(
    text: str, expected: list[str], tmp_path: Path
) -> None:
    assert findings(text, tmp_path, "csv") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "is not JSON: Expecting property name"),
        ("[]", "is not JSON: an object was expected, as prices show --json prints it"),
        ('{"prices": [], "prices": []}', 'is not JSON: the key "prices" is there twice'),
        ("{}", "prices: is missing"),
        ('{"prices": [5]}', "price 1: must be an object"),
        (
            '{"price": [], "prices": []}',
            "price: no such key; there are unlisted, note, name, prices, ",
        ),
        ('{"prices": [], "unlisted": "no"}', 'unlisted: is "no"; must be "UNLISTED_FREE" or '),
        (
            '{"prices": [{"method": "GET", "path": "/a", "credits": 1.0}]}',
            "price 1 (GET /a): credits: must be a whole number",
        ),
        (
            '{"prices": [{"method": "GET", "path": "/a%20b", "credits": 1}]}',
            'price 1 (GET /a%20b): path: has "a%20b"; a segment is text',
        ),
    ],
)
def test_what_is_wrong_with_json_is_named_by_its_entry(
    text: str, expected: str, tmp_path: Path
) -> None:
    assert findings(text, tmp_path, "json")[0].startswith(expected)
