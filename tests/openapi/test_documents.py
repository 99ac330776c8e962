"""Real documents of others: valid before and after, changed only where a price says so."""

from __future__ import annotations

import difflib
import re
from typing import Any, NamedTuple, cast

import pytest
from openapi_spec_validator import validate

from tests.openapi.documents import FOLDER, annotated, values
from tests.support.thorough import thorough, with_thorough
from tollkeeper.core.pricing.price_lists import Price

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


class Case(NamedTuple):
    """A document, its prices, and the operations that get one."""

    file: str
    prices: tuple[Price, ...]
    priced: int
    others: int


CASES = [
    Case("petstore.yaml", (Price("*", "/v2/pet/**", 5), Price("GET", "/v2/user/{x}", 1)), 11, 9),
    Case("galaxy.yaml", (Price("GET", "/planets/{id}", 10, "a [planet] | more"),), 1, 8),
    Case("rclone.json", (Price("POST", "/operations/**", 1234, 'a "q"', ("2xx", "404")),), 22, 79),
]
DOCUMENTS = pytest.mark.parametrize(
    "case", with_thorough(CASES, quick=CASES[:2]), ids=[case.file for case in CASES]
)


def text_of(case: Case) -> str:
    return (FOLDER / case.file).read_bytes().decode()


def without_credits(document: Any) -> Any:
    for item in document["paths"].values():
        for method in METHODS & item.keys():
            item[method].pop("x-credits", None)
            said = str(item[method].get("description", ""))
            item[method]["description"] = re.split(r"\n*\*\*Credits:", said)[0]
    return document


@DOCUMENTS
def test_a_real_document_is_valid_before_and_after(case: Case) -> None:
    before = text_of(case)
    after = annotated(before, *case.prices).text

    validate(values(before))
    validate(values(after))


@DOCUMENTS
def test_a_real_document_says_the_same_but_for_the_credits(case: Case) -> None:
    before = text_of(case)
    found = annotated(before, *case.prices)

    assert (len(found.priced), len(found.unlisted)) == (case.priced, case.others)
    assert found.text.count("x-credits") == case.priced
    assert found.text.count("**Credits:** ") == case.priced
    assert not found.missing
    assert without_credits(values(found.text)) == without_credits(values(before))
    assert keys_in_order(values(found.text)) == keys_in_order(values(before))


@DOCUMENTS
def test_no_line_changes_that_is_not_of_a_description(case: Case) -> None:
    before = text_of(case).splitlines()
    after = annotated(text_of(case), *case.prices).text.splitlines()

    gone = [line[1:] for line in difflib.ndiff(before, after) if line.startswith("- ")]

    assert all(is_of_a_description(line.strip()) for line in gone), gone
    assert len(gone) <= 2 * case.priced


@thorough
@DOCUMENTS
def test_a_second_run_changes_nothing_and_one_without_prices_takes_it_all_back(case: Case) -> None:
    before = text_of(case)
    first = annotated(before, *case.prices).text
    dearer = [price._replace(credits=price.credits + 1) for price in case.prices]

    changed = annotated(first, *dearer).text
    bare = annotated(changed).text

    assert annotated(first, *case.prices).text == first
    assert changed == annotated(before, *dearer).text
    assert without_credits(values(bare)) == without_credits(values(before))
    assert "redits:** " not in bare
    assert "x-credits" not in bare


def test_json_is_given_back_byte_for_byte_where_its_prices_are_gone() -> None:
    before = text_of(CASES[2])

    assert annotated(annotated(before, *CASES[2].prices).text).text == before


def is_of_a_description(line: str) -> bool:
    """Say whether this is a description on its key's line, or in the lines below it."""
    return "description" in line or (":" not in line and line[:1].isalpha())


def keys_in_order(value: Any) -> list[Any]:
    keys: list[Any] = []
    if isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            if key not in {"description", "x-credits"}:
                keys.append((key, keys_in_order(each)))
    elif isinstance(value, list):
        keys.extend(keys_in_order(each) for each in cast("list[Any]", value))
    return keys
