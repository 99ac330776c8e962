"""The price lists that the documents show are lists, and do what the page says of them."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import PRICES
from tests.repo.documents import section, text_of
from tollkeeper.cli.prices.file import PriceFile, read_prices
from tollkeeper.core.outcome import Outcome, classify
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price, PriceList, Unlisted

PAGE = "docs/prices.md"
CASE = re.compile(
    r"^\*\*(?P<name>[^*]+)\.\*\* .*?^```toml\n(?P<toml>.*?)^```$", re.DOTALL | re.MULTILINE
)
LEADS = Price("GET", "/v1/leads", 10)


def cases(folder: Path) -> dict[str, PriceFile]:
    """The price list of each case of the page."""
    found: dict[str, PriceFile] = {}
    for number, each in enumerate(
        CASE.finditer(section(text_of(PAGE), "What a gateway must know"))
    ):
        file = folder / f"{number}.toml"
        file.write_text(each["toml"], encoding="utf-8")
        found[each["name"].strip("`")] = read_prices(file)
    return found


def compiled(*prices: Price, unlisted: Unlisted = Unlisted.FREE) -> PriceList:
    return PriceList(version=1, effective_us=0, prices=prices, unlisted=unlisted, note="")


def cost(prices: PriceList, method: str, path: str) -> int | None:
    found = prices.match(method, parse(path))
    return None if found is None else found.credits


def test_every_snippet_of_the_page_is_a_case_of_it(tmp_path: Path) -> None:
    assert list(cases(tmp_path)) == [
        "404",
        "Redirects",
        "304",
        "101",
        "HEAD",
        "OPTIONS",
        ".json",
        "Method override",
    ]
    assert text_of(PAGE).count("```toml") == len(cases(tmp_path))


@pytest.mark.parametrize(
    ("name", "status", "by_default"),
    [
        ("404", 404, Outcome.VALIDATION_FAILED),
        ("Redirects", 302, Outcome.REDIRECTED),
        ("101", 101, Outcome.BLOCKED),
    ],
)
def test_a_status_is_charged_by_its_snippet_and_not_by_default(
    name: str, status: int, by_default: Outcome, tmp_path: Path
) -> None:
    (price,) = cases(tmp_path)[name].prices

    assert classify(status, ()) is by_default
    assert classify(status, price.charge_on) is Outcome.VALID_RESPONSE


def test_a_304_is_charged_by_default_and_not_by_its_snippet(tmp_path: Path) -> None:
    (price,) = cases(tmp_path)["304"].prices

    assert classify(304, ()) is Outcome.VALID_RESPONSE
    assert classify(304, price.charge_on) is not Outcome.VALID_RESPONSE
    assert classify(200, price.charge_on) is Outcome.VALID_RESPONSE


def test_head_costs_what_get_costs_until_its_snippet_is_there(tmp_path: Path) -> None:
    snippet = cases(tmp_path)["HEAD"].prices

    assert cost(compiled(LEADS), "HEAD", "/v1/leads") == 10
    assert cost(compiled(LEADS, *snippet), "HEAD", "/v1/leads") == 0
    assert cost(compiled(LEADS, *snippet), "GET", "/v1/leads") == 10


def test_options_is_charged_by_a_price_for_any_method_until_its_snippet_is_there(
    tmp_path: Path,
) -> None:
    any_method, options = cases(tmp_path)["OPTIONS"].prices

    assert cost(compiled(any_method), "OPTIONS", "/v1/leads") == 10
    assert cost(compiled(any_method, options), "OPTIONS", "/v1/leads") == 0


def test_an_ending_is_another_path_until_its_snippet_is_there(tmp_path: Path) -> None:
    file = cases(tmp_path)[".json"]
    prices = compiled(*file.prices, unlisted=file.unlisted)

    assert cost(compiled(LEADS), "GET", "/v1/leads.json") is None
    assert cost(prices, "GET", "/v1/leads.json") == 10
    assert file.unlisted is Unlisted.DENIED


def test_a_price_for_any_method_costs_the_same_whatever_a_header_makes_of_it(
    tmp_path: Path,
) -> None:
    (price,) = cases(tmp_path)["Method override"].prices
    prices = compiled(price)

    assert {cost(prices, each, "/v1/leads") for each in ("GET", "POST", "DELETE", "HEAD")} == {10}


def test_the_demonstration_shows_a_404_that_is_charged() -> None:
    prices = read_prices(PRICES).prices

    rules = {price.path: price.charge_on for price in prices if price.charge_on}
    assert set(rules) == {"/v1/ip-lookup", "/v1/domain-lookup"}
    for rule in rules.values():
        assert classify(404, rule) is Outcome.VALID_RESPONSE
        assert all(
            classify(status, rule) is classify(status, ()) for status in (200, 204, 304, 301, 500)
        )
