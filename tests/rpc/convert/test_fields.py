"""The rules of single fields: what is good, what is bad, and that all that is bad is named."""

from typing import Any

import pytest

from tollkeeper.core.account import AccountState
from tollkeeper.core.commands import Granularity
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.price_lists import Price, Unlisted
from tollkeeper.core.reservation import ReservationName
from tollkeeper.core.validation.fields import TIME_MAX_US, TIME_MIN_US, Fields

SECOND_US = 1_000_000
DAY_S = 86_400

GOOD: list[tuple[str, tuple[Any, ...], Any]] = [
    ("account_id", ("a",), "a"),
    ("account_id", ("Az09._:@/-",), "Az09._:@/-"),
    ("account_id", ("a" * 128,), "a" * 128),
    ("account_id_prefix", ("",), ""),
    ("account_id_prefix", ("acme/",), "acme/"),
    ("request_id", (" ~",), " ~"),
    ("request_id", ("r" * 128,), "r" * 128),
    ("reservation", ("1a-2b",), ReservationName(0x1A, 0x2B)),
    ("text", ("",), ""),
    ("text", ("Zürich, 東京 🙂",), "Zürich, 東京 🙂"),
    ("text", ("🙂" * 256,), "🙂" * 256),
    ("granted_credits", (1,), 1),
    ("granted_credits", (10**15,), 10**15),
    ("credit_limit", (0,), 0),
    ("credit_limit", (10**15,), 10**15),
    ("priority", (0,), 0),
    ("priority", (1_000_000,), 1_000_000),
    ("http_status", (100,), 100),
    ("http_status", (599,), 599),
    ("page_size", (0,), 100),
    ("page_size", (1,), 1),
    ("page_size", (1_000,), 1_000),
    ("outcome", (1,), Outcome.VALID_RESPONSE),
    ("outcome", (7,), Outcome.CANCELLED),
    ("release_outcome", (0,), Outcome.CANCELLED),
    ("release_outcome", (2,), Outcome.VALIDATION_FAILED),
    ("release_outcome", (8,), Outcome.REDIRECTED),
    ("state", (3,), AccountState.CLOSED),
    ("unlisted", (0,), Unlisted.FREE),
    ("unlisted", (2,), Unlisted.DENIED),
    ("granularity", (0,), Granularity.DAY),
    ("granularity", (3,), Granularity.MONTH),
    ("hold_us", (1, 0), SECOND_US),
    ("hold_us", (1, 1_999), SECOND_US + 1),
    ("hold_us", (DAY_S, 0), DAY_S * SECOND_US),
    ("hold_us", (DAY_S, 999), DAY_S * SECOND_US),
    ("time_us", (TIME_MIN_US // SECOND_US, 0), TIME_MIN_US),
    ("time_us", (TIME_MAX_US // SECOND_US, 999_999_999), TIME_MAX_US),
    ("time_us", (1_700_000_000, 123_456_789), 1_700_000_000_123_456),
    ("time_zone", ("",), "UTC"),
    ("time_zone", ("UTC",), "UTC"),
    ("time_zone", ("Europe/Berlin",), "Europe/Berlin"),
    ("time_zone", ("America/Argentina/Buenos_Aires",), "America/Argentina/Buenos_Aires"),
    ("method", ("GET",), "GET"),
    ("method", ("M-SEARCH",), "M-SEARCH"),
    ("method", ("A" * 32,), "A" * 32),
]

BAD: list[tuple[str, tuple[Any, ...]]] = [
    *(("account_id", (text,)) for text in ("", "a" * 129, "a b", "é", "a\n", "a\x00", "a%")),
    *(("account_id_prefix", (text,)) for text in ("a" * 129, "a b", "%", "a\n")),
    *(("request_id", (text,)) for text in ("", "r" * 129, "é", "r\n", "\x7f", "\x00")),
    *(("reservation", (text,)) for text in ("", "r" * 65, "é", "1a-2b\n", "\x00")),
    *(("text", (text,)) for text in ("x" * 257, "a\x00", "a\nb", "\x7f", "\x85")),
    *(("granted_credits", (number,)) for number in (0, -1, 10**15 + 1, -(2**63), 2**63 - 1)),
    *(("credit_limit", (number,)) for number in (-1, 10**15 + 1)),
    *(("priority", (number,)) for number in (-1, 1_000_001)),
    *(("http_status", (number,)) for number in (0, 99, 600, -200)),
    *(("page_size", (number,)) for number in (-1, 1_001)),
    *(("outcome", (number,)) for number in (0, 9, -1)),
    *(("release_outcome", (number,)) for number in (1, 9, -1)),
    *(("state", (number,)) for number in (0, 4)),
    *(("unlisted", (number,)) for number in (3, -1)),
    *(("granularity", (number,)) for number in (4, -1)),
    *(("hold_us", given) for given in ((0, 0), (0, 999_999_999), (DAY_S, 1_000), (-1, 0))),
    *(("hold_us", given) for given in ((5, -1), (5, 10**9), (315_576_000_000, 0))),
    *(("time_us", given) for given in ((0, 0), (TIME_MIN_US // SECOND_US - 1, 999_999_999))),
    *(("time_us", given) for given in ((TIME_MAX_US // SECOND_US + 1, 0), (2**63 - 1, 0))),
    *(("time_us", given) for given in ((1_700_000_000, -1), (1_700_000_000, 10**9))),
    *(
        ("time_zone", (name,))
        for name in ("Europe/Nowhere", "europe/berlin", "Europe", "localtime")
    ),
    *(("time_zone", (name,)) for name in ("../../../etc/passwd", "/etc/localtime", "UTC\x00", " ")),
    *(
        ("time_zone", (name,))
        for name in ("right/UTC", "posix/UTC", "posixrules", "tzdata.zi", ".")
    ),
    *(("method", (text,)) for text in ("", "get", "GET ", "*", "A" * 33, "1GET", "GET\n", "É")),
    *(("path", (text,)) for text in ("", "v1", "?x", "/a/../b", "/%2e/a", "/a%", "/%ff", "/%2565")),
    *(("path", (text,)) for text in ("/" + "a" * 2048, "/" + "é" * 1024, "/a\x00", "/a%0a")),
]


@pytest.mark.parametrize(("check", "given", "expected"), GOOD)
def test_a_good_value_is_taken(check: str, given: tuple[Any, ...], expected: Any) -> None:
    fields = Fields()

    found = getattr(fields, check)("field", *given)

    fields.done()
    assert found == expected


@pytest.mark.parametrize(("check", "given"), BAD)
def test_a_bad_value_is_named(check: str, given: tuple[Any, ...]) -> None:
    fields = Fields()

    getattr(fields, check)("the.field", *given)

    refused = refusal(fields)
    assert refused.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in refused.fields] == ["the.field"]
    assert refused.message == f"the.field: {refused.fields[0].description}"
    assert not refused.message.endswith(".")


def test_every_bad_field_is_named_in_one_refusal() -> None:
    fields = Fields()

    fields.account_id("account_id", "")
    fields.request_id("request_id", "good")
    fields.granted_credits("credits", -5)

    refused = refusal(fields)
    assert [violation.field for violation in refused.fields] == ["account_id", "credits"]
    assert refused.metadata == {"fields": "account_id,credits"}
    assert refused.message == (
        "account_id: must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ / -; "
        "credits: must be between 1 and 1000000000000000"
    )


@pytest.mark.parametrize("text", ["r-7", "1a-2b-3c", "1A-2B", "0-1", "1-0", "f" * 16 + "-1"])
def test_an_id_that_no_reservation_can_have_is_not_found(text: str) -> None:
    fields = Fields()

    fields.reservation("reservation_id", text)

    refused = refusal(fields)
    assert refused.reason is Reason.RESERVATION_NOT_FOUND
    assert refused.metadata == {"reservation_id": text}


def test_bad_fields_are_reported_before_a_reservation_that_is_not_found() -> None:
    fields = Fields()

    fields.reservation("reservation_id", "r-7")
    fields.http_status("http_status", 0)

    assert [violation.field for violation in refusal(fields).fields] == ["http_status"]


def test_a_hold_is_no_longer_than_the_server_allows() -> None:
    fields = Fields()

    fields.hold_us("hold", 61, 0, most_us=60 * SECOND_US)

    assert refusal(fields).message == "hold: must be between 1 s and 60 s"


@pytest.mark.parametrize(("start_us", "end_us"), [(1, 2), (None, 1), (1, None), (None, None)])
def test_a_period_may_be_open(start_us: int | None, end_us: int | None) -> None:
    fields = Fields()

    fields.period("end_time", start_us, end_us)

    fields.done()


@pytest.mark.parametrize(("start_us", "end_us"), [(2, 1), (1, 1)])
def test_a_period_that_ends_before_it_begins_is_bad(start_us: int, end_us: int) -> None:
    fields = Fields()

    fields.period("end_time", start_us, end_us)

    assert [violation.field for violation in refusal(fields).fields] == ["end_time"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v1/leads", "/v1/leads"),
        ("/v1//leads/", "/v1/leads"),
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/v1/leads?" + "x" * 100000, "/v1/leads"),
        ("/v1/leads#top?x=1", "/v1/leads"),
    ],
)
def test_a_path_is_read_without_its_query(path: str, text: str) -> None:
    fields = Fields()

    found = fields.path("path", path)

    fields.done()
    assert found.text == text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/leads",
        "/v1/leads/",
        "/**/",
        "/v1/{id}",
        "/v1/{id}/x/{name.x}",
        "/**",
        "/v1/**",
        "/v1/{id}/**",
        "/v1/...",
        "/v1/a.b~c!$&'()+,=:@-_",
        "/v1/é東",
        "/" + "a" * 2047,
    ],
)
def test_a_pattern_is_good(path: str) -> None:
    fields = Fields()

    fields.prices("prices", [Price("GET", path, 1)])

    fields.done()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v1",
        "//",
        "//v1",
        "/v1//leads",
        "/.",
        "/..",
        "/v1/../leads",
        "/v1/{",
        "/v1/}",
        "/v1/{}",
        "/v1/x{id}",
        "/v1/{id}x",
        "/v1/{a/b}",
        "/v1/{{id}}",
        "/v1/*",
        "/**/v1",
        "/v1/**x",
        "/***",
        "/v1/a b",
        "/v1/a%20b",
        "/v1?x",
        "/v1#x",
        "/v1;x",
        "/v1\\x",
        "/v1\n",
        "/v1/\x00",
        "/\x85",
        "/v1/\xa0",
        "/" + "a" * 2048,
        "/" + "é" * 1024,
        "/v1/{*}",
    ],
)
def test_a_pattern_is_bad(path: str) -> None:
    fields = Fields()

    fields.prices("prices", [Price("GET", path, 1)])

    assert [violation.field for violation in refusal(fields).fields] == ["prices[0].path"]


def test_every_bad_part_of_every_price_is_named() -> None:
    fields = Fields()

    fields.prices(
        "prices.prices",
        [
            Price("*", "/v1", 0, "Per API call", ("2xx", "404", "599")),
            Price("get", "v1", -1, "x\n", ("2xx", "6xx", "99")),
            Price("GET", "/v1", 10**12 + 1),
        ],
    )

    assert sorted(violation.field for violation in refusal(fields).fields) == [
        "prices.prices[1].charge_on[1]",
        "prices.prices[1].charge_on[2]",
        "prices.prices[1].credits",
        "prices.prices[1].method",
        "prices.prices[1].note",
        "prices.prices[1].path",
        "prices.prices[2].credits",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [("/v1/{id}", "/v1/{name}"), ("/v1", "/v1"), ("/v1", "/v1/"), ("/v1/**", "/v1/**")],
)
def test_the_second_of_two_prices_with_one_pattern_is_named(first: str, second: str) -> None:
    fields = Fields()

    fields.prices("prices", [Price("GET", first, 1), Price("*", first, 1), Price("GET", second, 2)])

    refused = refusal(fields)
    assert [violation.field for violation in refused.fields] == ["prices[2].path"]
    assert refused.message == "prices[2].path: is the same pattern as prices[0].path"


def test_a_price_list_may_be_empty() -> None:
    fields = Fields()

    found = fields.prices("prices", [])

    fields.done()
    assert found == ()


def test_a_price_list_has_at_most_ten_thousand_prices() -> None:
    fields, too_many = Fields(), Fields()
    prices = [Price("GET", f"/v1/{index}", 1) for index in range(10_001)]

    fields.prices("prices", prices[:-1])
    too_many.prices("prices", prices)

    fields.done()
    assert refusal(too_many).message == "prices: must not be more than 10000"


def refusal(fields: Fields) -> Refused:
    with pytest.raises(Refused) as caught:
        fields.done()
    return caught.value
