"""A price list of any length: every price is found, and finding one is no more work in a long list than in a short one.

That what is found is the best of all that match: `tests/properties/test_price_laws.py`.
"""

from collections.abc import Iterable

import pytest

from tollkeeper.core.pricing.paths import Path
from tollkeeper.core.pricing.patterns import Segments, segments_of
from tollkeeper.core.pricing.price_lists import Price, PriceList, Unlisted

FORMS = [
    "/v1/resource-{number}",
    "/v1/resource-{number}/{{id}}",
    "/v1/{{tenant}}/resource-{number}",
    "/{{version}}/resource-{number}/items",
    "/v1/{{tenant}}/items/{{id}}/resource-{number}",
    "/v1/files-{number}/**",
    "/v2/{{tenant}}/files-{number}/**",
    "/v1/models/{{model}}:verb-{number}",
    "/v1/{{tenant}}:verb-{number}/items/{{id}}:run",
]
METHODS = ["GET", "POST", "*", "DELETE"]
ONE_MORE = 1
"""A look at the method, which may be HEAD."""


def compiled(prices: Iterable[Price]) -> PriceList:
    return PriceList(
        version=1, effective_us=0, prices=prices, unlisted=Unlisted.DENIED, note="a note"
    )


def mixed(count: int) -> list[Price]:
    """So many prices: every form, with every method on one path, all within a few literal prefixes."""
    return [
        Price(
            METHODS[number % len(METHODS)],
            FORMS[number // len(METHODS) % len(FORMS)].format(number=number // len(METHODS)),
            number,
        )
        for number in range(count)
    ]


def request_for(price: Price) -> tuple[str, Segments]:
    """A request that the price is for: its own method, or one that nothing else names; any word for a placeholder."""
    segments = tuple(
        "x" + each.partition("}")[2] if each[0] in "{*" else each for each in price.segments
    )
    return "PATCH" if price.method == "*" else price.method, segments


class Counted(str):
    """A word of a request that counts how often it is hashed or compared: once for each look-up that it is part of."""

    __slots__ = ()
    uses = 0

    def __hash__(self) -> int:
        Counted.uses += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Counted.uses += 1
        return super().__eq__(other)


def work_of(prices: PriceList, method: str, segments: Segments) -> int:
    """How often the words of a request are looked at before its price is known, or that it has none."""
    counted = Path("", (tuple(map(Counted, segments)),))
    Counted.uses = 0
    prices.match(Counted(method), counted)
    return Counted.uses


def test_each_of_five_thousand_endpoints_is_found() -> None:
    listed = mixed(5_000)
    prices = compiled(listed)

    for each in listed:
        method, segments = request_for(each)

        assert prices.match(method, Path("", (segments,))) is each


def test_five_thousand_endpoints_are_no_more_work_than_fifty() -> None:
    few, many = compiled(mixed(50)), compiled(mixed(5_000))
    requests = [request_for(each) for each in (*few.prices, *many.prices[::50])]
    requests += [("GET", segments_of(path)) for path in ("/v1/no", "/v1/a/no", "/v2/a/b/c/no")]

    most_of_few = max(work_of(few, *each) for each in requests)
    most_of_many = max(work_of(many, *each) for each in requests)

    assert most_of_many <= most_of_few < 60 + ONE_MORE


@pytest.mark.parametrize(
    "form",
    [
        "/v1/resource-{number}",
        "/v1/{{tenant}}/resource-{number}",
        "/{{tenant}}/resource-{number}/{{id}}",
        "/v1/resource-{number}/**",
        "/v1/models/{{model}}:verb-{number}",
    ],
)
def test_five_thousand_of_one_form_are_one_look_at_the_request(form: str) -> None:
    prices = compiled(Price("GET", form.format(number=number), number) for number in range(5_000))
    asked = [request_for(prices.prices[0]), request_for(prices.prices[-1])]
    asked += [("GET", ("v1", "acme", "no")), ("PUT", asked[0][1])]

    for method, segments in asked:
        assert work_of(prices, method, segments) <= ONE_MORE + 2 * len((method, *segments))


def test_five_thousand_methods_of_one_path_are_one_look_at_the_request() -> None:
    prices = compiled(Price(f"METHOD-{number}", "/v1/{id}", number) for number in range(5_000))

    found = prices.match("METHOD-4999", Path("", (("v1", "x"),)))

    assert found is prices.prices[-1]
    assert work_of(prices, "METHOD-4999", ("v1", "x")) <= ONE_MORE + 2 * 3


def test_a_path_that_every_pattern_fails_at_its_last_segment_is_no_more_than_one_look_at_each() -> (
    None
):
    literal = [f"s{place}" for place in range(12)]
    listed = [
        Price("GET", "/" + "/".join(_mixture(literal, number)) + "/end", number)
        for number in range(2 ** len(literal))
    ]
    prices = compiled(listed)

    looks = work_of_method(prices, (*literal, "no"))

    assert looks <= ONE_MORE + len(listed)
    assert work_of_method(prices, (*literal, "no", "no")) == ONE_MORE
    assert prices.match("GET", Path("", ((*literal, "end"),))) is listed[-1]


def _mixture(literal: list[str], number: int) -> list[str]:
    return [each if number >> place & 1 else "{x}" for place, each in enumerate(literal)]


def work_of_method(prices: PriceList, segments: Segments) -> int:
    """How many look-ups a GET takes before it is known that it has no price."""
    Counted.uses = 0
    assert prices.match(Counted("GET"), Path("", (segments,))) is None
    return Counted.uses


def test_of_two_prices_of_one_pattern_the_first_counts() -> None:
    prices = compiled([Price("GET", "/a/{x}", 1), Price("GET", "/a/{y}", 2)])

    found = prices.match("GET", Path("", (("a", "b"),)))

    assert found is not None
    assert found.credits == 1


def test_head_is_one_look_at_the_request_and_two_where_the_list_names_head() -> None:
    listed = [Price("GET", f"/v1/resource-{number}", number) for number in range(5_000)]
    without, with_head = compiled(listed), compiled([*listed, Price("HEAD", "/v1/x", 1)])
    request = ("v1", "resource-4999")

    found = [prices.match("HEAD", Path("", (request,))) for prices in (without, with_head)]

    assert found == [listed[-1]] * 2
    one_look = 2 * len(("HEAD", *request))
    assert work_of(without, "HEAD", request) <= ONE_MORE + one_look
    assert work_of(with_head, "HEAD", request) <= ONE_MORE + 2 * one_look
