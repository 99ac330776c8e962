"""Price lists as JSON and as CSV: what is exported can be published, and what is wrong is named."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.prices.csv_form import read_csv, write_csv
from tollkeeper.cli.prices.file import PriceFile, read_prices
from tollkeeper.cli.prices.price_lists import from_message, to_message
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.core.pricing.price_lists import Price, Unlisted

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "method,path,credits,note,charge_on\n"

texts = st.builds(
    str.__add__,
    st.sampled_from(["", "=", "'=", "''-", "@", "\uff1d"]),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20),
)
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
    st.sampled_from(["", "partner", "eu/gold:2.0@a_b-c", "@partner", "-partner"]),
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
                "line 6 (GET /c/): path: is the same pattern as that of line 5",
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
        ("{}", 'prices: is missing; for a list without prices, write "prices": []'),
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


# Tables as spreadsheets write them


@pytest.mark.parametrize(
    "head",
    [
        "Method,Path,Credits,Note,Charge on",
        " METHOD , path , Credits,NOTE, charge-on ",
        "method,path,credits,note,charge_on,,",
    ],
)
def test_headings_are_known_in_any_case_and_with_blanks(head: str, tmp_path: Path) -> None:
    text = f"{head}\n GET , /v1/leads , 10 , a note ,2xx 404\n# Unlisted, Denied \n#NAME, partner\n"

    assert read(text, tmp_path, "csv") == PriceFile(
        (Price("GET", "/v1/leads", 10, " a note ", ("2xx", "404")),),
        Unlisted.DENIED,
        "",
        "partner",
    )


def test_a_row_that_says_what_separates_cells_is_no_heading(tmp_path: Path) -> None:
    text = "sep=;\r\nmethod;path;credits\r\nGET;/v1/leads;10\r\nGET;/v1/:id;1\r\n"

    assert findings(text, tmp_path, "csv") == [
        'line 4 (GET /v1/:id): path: has ":id", which would be taken literally; write "{id}"'
    ]


def test_all_faults_of_a_row_and_of_all_rows_are_named_at_once(tmp_path: Path) -> None:
    text = (
        f"{HEAD[:-1]},cost\n"
        "get,/v1/:id,ten,n,6xx\n"
        "#unlisted,maybe\n"
        "GET,/v1/*.json,-1,,,,9\n"
        "GET,,5\n"
    )

    assert findings(text, tmp_path, "csv") == [
        "line 1: cost: no such column; there are method, path, credits, note, charge_on",
        "line 2 (get /v1/:id): credits: must be a whole number",
        'line 2 (get /v1/:id): charge_on[0]: must be such as "2xx" or "404"',
        "line 2 (get /v1/:id): method: must be * or an HTTP method in upper case",
        'line 2 (get /v1/:id): path: has ":id", which would be taken literally; write "{id}"',
        'line 3: #unlisted: is "maybe"; must be "free" or "denied"',
        "line 4 (GET /v1/*.json): has 7 cells for 6 columns",
        "line 4 (GET /v1/*.json): credits: must be between 0 and 1000000000000",
        (
            'line 4 (GET /v1/*.json): path: has "*.json", which would be taken literally; a segment is text, '
            'decoded and without % ? # ; \\ { } * < > and spaces, or it is "{name}", "{name}:verb", or a last "**"'
        ),
        "line 5 (GET): path: must begin with /",
    ]


# What is not UTF-8

ROWS = "method,path,credits,note\nGET,/v1/leads,10,caf\u00e9\n"


@pytest.mark.parametrize("ending", ["csv", "toml", "json"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ROWS.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + ROWS.encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        (ROWS.encode("utf-16-le"), "is UTF-16; save it as UTF-8"),
        (ROWS.encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        (ROWS.encode("utf-32"), "is UTF-32; save it as UTF-8"),
        (
            ROWS.encode("latin-1"),
            (
                "is not UTF-8: line 2 has the byte 0xE9; perhaps it is Latin-1 or Windows-1252, as some spreadsheets"
                " write it; save it as UTF-8"
            ),
        ),
        (
            gzip.compress(ROWS.encode(), mtime=0),
            "is compressed with gzip; unpack it first",
        ),
        (
            b"PK\x03\x04\x14\x00",
            'is an Excel workbook (.xlsx) or another zip archive; save the sheet as "CSV UTF-8"',
        ),
        (b"\x7fELF\x00\x01\x02\x00\x00\x00", "is not text; a text file in UTF-8 is wanted"),
    ],
)
def test_a_file_that_is_not_utf_8_is_named_in_plain_words(
    data: bytes, words: str, ending: str, tmp_path: Path
) -> None:
    file = tmp_path / f"prices.{ending}"
    file.write_bytes(data)

    with pytest.raises(CommandError) as failed:
        read_prices(file)

    assert failed.value.message == f"{file}: {words}"
