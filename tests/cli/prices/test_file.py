"""Price lists as files: what is read, and how what is wrong is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PRICES
from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.prices.file import PriceFile, read_prices
from tollkeeper.core.pricing.price_lists import Price, Unlisted

if TYPE_CHECKING:
    from pathlib import Path

LEADS = 'method = "GET"\npath = "/v1/leads"\ncredits = 10\n'


def read(text: str, folder: Path) -> PriceFile:
    file = folder / "prices.toml"
    file.write_text(text, encoding="utf-8")
    return read_prices(file)


def test_the_page_is_in_the_package() -> None:
    file = read_prices(PRICES)

    assert [(price.method, price.path, price.credits) for price in file.prices] == [
        ("GET", "/v1/ip-lookup", 10),
        ("GET", "/v1/domain-lookup", 10),
        ("POST", "/v1/track", 1),
        ("GET", "/v1/leads", 10),
        ("GET", "/v1/leads/export", 10),
    ]
    assert file.unlisted is Unlisted.FREE
    assert file.note == "Credit costs per endpoint"


def test_everything_a_price_list_can_say_is_read(tmp_path: Path) -> None:
    text = f'unlisted = "denied"\nnote = "new"\n[[price]]\n{LEADS}note = "n"\ncharge_on = ["404"]'

    file = read(text, tmp_path)

    assert file == PriceFile(
        (Price("GET", "/v1/leads", 10, "n", ("404",)),), Unlisted.DENIED, "new"
    )


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("price = ", "is not TOML: Invalid value (at end of document)"),
        (
            "note = 'no prices'",
            "price: is missing; for a list without prices, write price = []",
        ),
        ("price = 5", "price: must be a list"),
        ("price = [5]", "price 1: must be a table, as [[price]] begins one"),
        ('price = []\nunlisted = "maybe"', 'unlisted: is "maybe"; must be "free" or "denied"'),
        (
            "price = []\nunlsited = 'free'",
            "unlsited: no such key; there are unlisted, note, name, price",
        ),
        (
            f"[[price]]\n{LEADS}cost = 3",
            "price 1, line 1 (GET /v1/leads): cost: no such key; there are ",
        ),
        (
            f"[[price]]\n{LEADS}[[price]]\nmethod = 'GET'\ncredits = 1",
            "price 2, line 5: path: is missing",
        ),
        (
            "[[price]]\nmethod = 'GET'\npath = '/a'\ncredits = true",
            "price 1, line 1 (GET /a): credits: must be a whole number",
        ),
        (
            "[[price]]\nmethod = 'GET'\npath = '/a'\ncredits = '10'",
            "price 1, line 1 (GET /a): credits: must be a whole number",
        ),
        (f"[[price]]\n{LEADS}charge_on = '2xx'", "charge_on: must be a list"),
        (f"[[price]]\n{LEADS}charge_on = [200]", "charge_on: must be a list of texts"),
        (
            "[[price]]\nmethod = 'GET'\npath = '/a'\ncredits = -1",
            "price 1, line 1 (GET /a): credits: must be between 0 and",
        ),
        (
            "[[price]]\nmethod = 'get'\npath = '/a'\ncredits = 1",
            "price 1, line 1 (get /a): method: must be * or an HTTP method in upper case",
        ),
        (
            f"[[price]]\n{LEADS}charge_on = ['6xx']",
            "price 1, line 1 (GET /v1/leads): charge_on[0]: must be",
        ),
        (
            f"[[price]]\n{LEADS}[[price]]\n{LEADS}",
            "price 2, line 5 (GET /v1/leads): path: is the same pattern as that of price 1, line 1",
        ),
        (f"note = 'a\\u0007'\n[[price]]\n{LEADS}".replace("'", '"', 2), "note: must not have"),
    ],
)
def test_what_is_wrong_is_named_by_file_entry_and_key(
    text: str, finding: str, tmp_path: Path
) -> None:
    with pytest.raises(CommandError) as failed:
        read(text, tmp_path)

    assert failed.value.message.startswith(f"{tmp_path / 'prices.toml'}: ")
    assert finding in failed.value.message


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as failed:
        read("extra = 1\n[[price]]\nmethod = 1\npath = 2\ncredits = 'x'", tmp_path)

    assert len(failed.value.message.splitlines()) == 4


def test_an_entry_that_cannot_be_read_hides_no_rule_that_another_breaks(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as failed:
        read(
            f"[[price]]\nmethod = 'GET'\ncredits = 1\n[[price]]\n{LEADS}[[price]]\n{LEADS}",
            tmp_path,
        )

    assert [line.partition("toml: ")[2] for line in failed.value.message.splitlines()] == [
        "price 1, line 1: path: is missing",
        "price 3, line 8 (GET /v1/leads): path: is the same pattern as that of price 2, line 4",
    ]


def test_the_digest_stands_for_the_content_and_not_for_its_form(tmp_path: Path) -> None:
    first = read(f"[[price]]\n{LEADS}", tmp_path)
    same = read(f"# the same\n[[price]]\n{LEADS}note = ''", tmp_path)
    other = read(f"[[price]]\n{LEADS}note = 'other'", tmp_path)

    assert first.digest == same.digest
    assert first.digest != other.digest


def test_all_faults_of_a_price_and_of_all_prices_are_named_at_once_with_their_lines(
    tmp_path: Path,
) -> None:
    with pytest.raises(CommandError) as failed:
        read(
            "unlisted = 'maybe'\n"
            "[[price]]\nmethod = 'get'\npath = '/v1/:id'\ncredits = 'ten'\n\n"
            "[[price]]\nmethod = 'GET'\npath = '/v1/users/<int:id>'\ncredits = -1\ncharge_on = ['6xx']\n",
            tmp_path,
        )

    assert [line.partition("toml: ")[2] for line in failed.value.message.splitlines()] == [
        'unlisted: is "maybe"; must be "free" or "denied"',
        "price 1, line 2 (get /v1/:id): credits: must be a whole number",
        "price 1, line 2 (get /v1/:id): method: must be * or an HTTP method in upper case",
        'price 1, line 2 (get /v1/:id): path: has ":id", which would be taken literally; write "{id}"',
        "price 2, line 7 (GET /v1/users/<int:id>): credits: must be between 0 and 1000000000000",
        'price 2, line 7 (GET /v1/users/<int:id>): charge_on[0]: must be such as "2xx" or "404"',
        (
            'price 2, line 7 (GET /v1/users/<int:id>): path: has "<int:id>", which would be taken'
            ' literally; write "{id}"'
        ),
    ]


def test_of_very_many_faults_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as failed:
        read("[[price]]\nmethod = 'get'\npath = '/a'\ncredits = -1\n" * 500, tmp_path)

    lines = failed.value.message.splitlines()
    assert len(lines) == 101
    assert lines[-1].endswith("prices.toml: and 900 more")


def test_keys_are_known_in_any_case(tmp_path: Path) -> None:
    text = "Unlisted = 'denied'\n[[Price]]\nMethod = 'GET'\nPATH = '/v1/leads'\nCredits = 10\n'charge on' = ['2xx']"

    assert read(text, tmp_path) == PriceFile(
        (Price("GET", "/v1/leads", 10, "", ("2xx",)),), Unlisted.DENIED, ""
    )


def test_a_key_in_two_spellings_is_there_twice(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="credits: is there twice"):
        read(f"[[price]]\n{LEADS}Credits = 11\n", tmp_path)
