"""Which price a request has: HEAD, verbs, and spellings that some router takes for the same."""

import pytest

from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price, PriceList, Unlisted

NFC = "/v1/caf\u00e9"
NFD = "/v1/cafe\u0301"


def compiled(*prices: Price, unlisted: Unlisted = Unlisted.FREE) -> PriceList:
    return PriceList(version=1, effective_us=0, prices=prices, unlisted=unlisted, note="")


def cost(prices: PriceList, method: str, path: str) -> int | None:
    """The credits of a request; None where it is unlisted."""
    price = prices.match(method, parse(path))
    return None if price is None else price.credits


# HEAD


def test_head_costs_what_get_costs() -> None:
    prices = compiled(Price("GET", "/v1/leads", 10), Price("POST", "/v1/track", 1))

    assert cost(prices, "HEAD", "/v1/leads") == 10
    assert cost(prices, "HEAD", "/v1/track") is None
    assert cost(prices, "OPTIONS", "/v1/leads") is None


def test_head_costs_its_own_price_where_the_list_has_one() -> None:
    exact = compiled(Price("GET", "/v1/leads", 10), Price("HEAD", "/v1/leads", 0))
    wide = compiled(Price("GET", "/v1/leads", 10), Price("HEAD", "/**", 1))

    assert cost(exact, "HEAD", "/v1/leads") == 0
    assert cost(exact, "GET", "/v1/leads") == 10
    assert cost(wide, "HEAD", "/v1/leads") == 1


def test_any_method_with_a_longer_prefix_goes_before_heads_own_price() -> None:
    prices = compiled(
        Price("HEAD", "/v1/**", 1), Price("*", "/v1/leads", 5), Price("GET", "/v1/leads", 10)
    )

    # The best for HEAD is that of any method, so HEAD has no price of its own here, and costs what GET costs.
    assert cost(prices, "HEAD", "/v1/leads") == 10
    assert cost(prices, "HEAD", "/v1/other") == 1


def test_any_method_is_for_head_as_well() -> None:
    prices = compiled(Price("*", "/v1/leads", 5))

    assert cost(prices, "HEAD", "/v1/leads") == 5


def test_head_is_listed_where_get_is() -> None:
    prices = compiled(Price("GET", "/v1/leads", 10), unlisted=Unlisted.DENIED)

    assert prices.match("HEAD", parse("/v1/leads")) is prices.prices[0]


def test_head_is_found_by_each_reading() -> None:
    prices = compiled(Price("GET", "/a/b", 10), Price("HEAD", "/{x}", 1))

    assert cost(prices, "HEAD", "/a%2Fb") == 10


# {name}:verb


GEMINI = compiled(
    Price("POST", "/v1/models/{model}:generateContent", 30),
    Price("POST", "/v1/models/{model}:countTokens", 1),
    Price("POST", "/v1/models/{model}", 5),
    Price("POST", "/v1/models/free:generateContent", 0),
    Price("POST", "/v1/{kind}/{name}:generateContent/**", 7),
)


@pytest.mark.parametrize(
    ("path", "credits"),
    [
        ("/v1/models/pro:generateContent", 30),
        ("/v1/models/pro:countTokens", 1),
        ("/v1/models/pro:other", 5),
        ("/v1/models/pro", 5),
        ("/v1/models/free:generateContent", 0),
        ("/v1/models/free:countTokens", 1),
        ("/v1/models/pro:free:generateContent", 30),
        ("/v1/models/pro:generateContent:countTokens", 1),
        ("/v1/models/:generateContent", 5),
        ("/v1/models/pro:generateContent:", 5),
        ("/v1/models/pro%3AgenerateContent", 30),
        ("/v1/models/pro:GenerateContent", 5),
        ("/v1/voices/pro:generateContent/long/tail", 7),
        ("/v1/voices/pro:countTokens/long/tail", None),
    ],
)
def test_a_verb_has_a_price_of_its_own(path: str, credits: int | None) -> None:
    assert cost(GEMINI, "POST", path) == credits


def test_a_verb_goes_before_a_name_and_after_a_literal_but_never_before_a_literal_prefix() -> None:
    prices = compiled(
        Price("GET", "/{a}/b:run", 1),
        Price("GET", "/{a}/{b}:run", 2),
        Price("GET", "/{a}/{b}", 3),
        Price("GET", "/{a}:run/{b}", 4),
        Price("GET", "/x/{b}", 5),
        Price("*", "/y/{b}:run", 6),
        Price("GET", "/y/{b}", 7),
    )

    assert cost(prices, "GET", "/a/b:run") == 1
    assert cost(prices, "GET", "/a/c:run") == 2
    assert cost(prices, "GET", "/a:run/c:run") == 4
    assert cost(prices, "GET", "/a/c") == 3
    assert cost(prices, "GET", "/x/c:run") == 5
    assert cost(prices, "GET", "/y/c:run") == 7


# Spellings


@pytest.mark.parametrize(
    "path",
    [
        "/v1/leads%20",
        "/v1/leads ",
        "/v1/leads%20%20",
        "/v1/leads%20/",
        "/v1/leads/%20",
        "/v1/leads/%20/%20",
        "/v1%20/leads",
        "/v1/%20leads",
        "/v1/leads%C2%A0",
        "/v1/leads%E3%80%80",
        "/v1/leads%EF%BB%BF",
        "/v1/leads%20;a=1",
        "/v1%20%2Fleads",
    ],
)
def test_a_blank_at_an_end_makes_no_request_cheaper(path: str) -> None:
    prices = compiled(Price("GET", "/v1/leads", 10))

    assert cost(prices, "GET", path) == 10


def test_blanks_are_dropped_at_the_end_of_the_path_alone_as_well() -> None:
    prices = compiled(Price("GET", "/files/leads", 1), Price("GET", "/{any}/leads", 50))

    assert cost(prices, "GET", "/files%20/leads%20") == 50


def test_a_blank_within_a_segment_is_a_part_of_it() -> None:
    prices = compiled(Price("GET", "/v1/leads", 10))

    assert cost(prices, "GET", "/v1/le%20ads") is None


def test_a_blank_does_not_hide_a_segment_of_dots() -> None:
    with pytest.raises(ValueError, match=r"must not have \. or \.\. as a segment"):
        parse("/v1/x/..%20/leads")


@pytest.mark.parametrize("listed", [NFC, NFD])
@pytest.mark.parametrize("asked", [NFC, NFD, "/v1/caf%C3%A9", "/v1/cafe%CC%81"])
def test_letters_that_are_the_same_text_cost_the_same(listed: str, asked: str) -> None:
    prices = compiled(Price("GET", listed, 10), Price("GET", "/v1/{x}", 1))

    assert cost(prices, "GET", asked) == 10


@pytest.mark.parametrize("listed", [NFC, NFD])
def test_the_spelling_of_the_list_and_the_usual_one_are_listed(listed: str) -> None:
    prices = compiled(Price("GET", listed, 10), unlisted=Unlisted.DENIED)

    assert cost(prices, "GET", listed) == 10
    assert cost(prices, "GET", NFC) == 10


def test_another_spelling_of_the_same_text_costs_its_dearest_reading() -> None:
    prices = compiled(Price("GET", NFC, 10), Price("GET", "/v1/{x}", 50))

    assert cost(prices, "GET", NFC) == 10
    assert cost(prices, "GET", NFD) == 50


def test_a_verb_may_be_spelt_in_both_ways() -> None:
    prices = compiled(Price("GET", "/v1/{x}:caf\u00e9", 10))

    assert cost(prices, "GET", "/v1/a:cafe\u0301") == 10


def test_patterns_that_differ_in_the_spelling_of_the_same_text_have_one_shape() -> None:
    assert Price("GET", NFC, 1).shape == Price("GET", NFD, 2).shape
    verbs = [
        Price("GET", f"/{{{name}}}:caf{end}", 1)
        for name, end in (("a", "\u00e9"), ("b", "e\u0301"))
    ]
    assert verbs[0].shape == verbs[1].shape
    assert Price("GET", "/{a}:run", 1).shape != Price("GET", "/{a}:stop", 1).shape
    assert Price("GET", "/{a}:run", 1).shape != Price("GET", "/{a}", 1).shape


def test_a_path_has_no_more_than_twenty_four_readings() -> None:
    assert len(parse("/v1%20/cafe%CC%81;x=1/a%2Fb ").readings) == 24
    assert len(parse("/v1%20/cafe%CC%81;x=1/a%2Fb " + "/%20x;y%5C%3B%3F" * 50).readings) <= 24
