"""Laws of paths and prices: no spelling is cheaper than another, and an index finds what a search does.

The reference model tries every pattern on every reading, one after the other.
"""

from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.properties.spellings import SPELLINGS, Spelling
from tests.support.model.fields import GOOD
from tests.support.model.paths import BadPathError, content, quote
from tests.support.model.paths import Price as ModelPrice
from tests.support.model.paths import readings as model_readings
from tollkeeper.core.errors import Refused
from tollkeeper.core.pricing.paths import Path, parse
from tollkeeper.core.pricing.price_lists import Price, PriceList, Unlisted
from tollkeeper.core.validation.fields import Fields

METHODS = ["GET", "POST", "PUT", "HEAD"]

NFD = "e\u0301"
"""The two letters that are one and the same as "é"."""

words = st.sampled_from(["a", "b", "c", "v1", "a:run", "b:c:run", ":run", "a:", "é", NFD])
pattern_words = st.sampled_from(["a", "b", "c", "v1", "a:run", "é", NFD])
odd_pieces = st.sampled_from(
    [
        *("a", "b", "v1", ".", "..", "...", "é", "~", "+", " ", "%20", "*", "{x}"),
        *("%2F", "%2f", "%5C", "\\", ";", "%3B", "=", "?", "%3F", "#", "%23", "%2E", "%2e"),
        *("%61", "%C3%A9", "%FF", "%00", "%0a", "%7F", "%", "%2", "%25", "%2541", "%25zz"),
        *(NFD, "%CC%81", "\u00a0", "\ufeff", "\u200b", "\u037e", "\u212b", ":run", "%3A", "+"),
    ]
)
odd_segments = st.lists(odd_pieces, max_size=4).map("".join)
odd_paths = st.one_of(
    st.lists(odd_segments, max_size=5).map(lambda segments: "/" + "/".join(segments)),
    odd_segments,
    st.text(max_size=12).map(lambda text: "/" + text),
)
# The words of the patterns, so that several readings of one path find a price.
doubtful_paths = st.lists(
    st.tuples(
        st.sampled_from(["/", "%2F", "%5C", ";", "%3B", "%3F", "%23", "%20", "/%20", " /"]), words
    ),
    max_size=5,
).map(lambda pairs: "/a" + "".join(between + word for between, word in pairs))
plain_paths = st.lists(words, max_size=5).map(lambda segments: "/" + "/".join(segments))
patterns = st.tuples(
    st.lists(
        st.one_of(pattern_words, st.sampled_from(["{x}", "{y}", "{x}:run", "{y}:c", "{x}:é"])),
        max_size=4,
    ),
    st.sampled_from([[], [], ["**"]]),
).map(lambda parts: "/" + "/".join(parts[0] + parts[1]))
prices = st.builds(
    ModelPrice,
    st.sampled_from(["GET", "GET", "POST", "*", "HEAD"]),
    patterns,
    st.integers(0, 30),
    st.just(()),
    st.just(""),
)
price_lists = st.lists(prices, max_size=300, unique_by=lambda price: price.shape)


@st.composite
def lists_for(draw: st.DrawFn, raw: str) -> list[ModelPrice]:
    """Draw a list in which each reading of the path is likely to have a price of its own."""
    found: dict[Any, ModelPrice] = {}
    for reading in sorted(model_readings(raw)):
        segments = [
            segment if segment.isalnum() and draw(st.booleans()) else "{x}" for segment in reading
        ]
        if draw(st.integers(0, 4)) == 0:
            segments[-1:] = ["**"]
        price = ModelPrice("GET", "/" + "/".join(segments), draw(st.integers(0, 30)))
        found[price.shape] = price
    return list(found.values())


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[ModelPrice], str]:
    """Draw a path of up to six segments, and a list of which most patterns match it or nearly do."""
    segments = draw(st.lists(pattern_words, max_size=6))
    found: dict[Any, ModelPrice] = {}
    for _ in range(draw(st.integers(0, 60))):
        pattern = [draw(st.sampled_from([each, each, "{x}", "{x}:run", "c"])) for each in segments]
        if draw(st.booleans()):
            pattern[draw(st.integers(0, len(pattern))) :] = draw(st.sampled_from([["**"], []]))
        method = draw(st.sampled_from(["GET", "GET", "*", "POST", "HEAD"]))
        price = ModelPrice(method, "/" + "/".join(pattern), len(found))
        found.setdefault(price.shape, price)
    further = draw(st.sampled_from([[], [], ["a"]]))
    return list(found.values()), "/" + "/".join(segments + further)


def compiled(listed: list[ModelPrice], unlisted: Unlisted = Unlisted.FREE) -> PriceList:
    return PriceList(
        version=1,
        effective_us=0,
        prices=[Price(each.method, each.path, each.credits) for each in listed],
        unlisted=unlisted,
        note="",
    )


def parsed(raw: str) -> Path | None:
    try:
        return parse(raw)
    except ValueError:
        return None


@given(raw=odd_paths)
@example(raw="/a;b/%2e")
@example(raw="/" + "é" * 1024)
def test_a_path_is_read_as_the_model_reads_it(raw: str) -> None:
    path = parsed(raw)

    try:
        expected = model_readings(raw)
    except BadPathError:
        assert path is None
    else:
        assert path is not None
        assert set(path.readings) == expected
        assert len(path.readings) == len(expected)
        assert path.text == content(raw)


@given(raw=odd_paths)
def test_the_text_of_a_path_is_its_own_text(raw: str) -> None:
    path = parsed(raw)
    # What decodes to one of these reads otherwise when it comes again as it stands.
    assume(path is not None and not set("%?#") & set(path.text))
    assert path is not None

    assert parse(path.text).text == path.text


@given(
    listed=price_lists,
    unlisted=st.sampled_from(Unlisted),
    method=st.sampled_from(METHODS),
    raw=st.one_of(plain_paths, doubtful_paths, odd_paths),
)
def test_an_index_finds_what_a_search_finds(
    listed: list[ModelPrice], unlisted: Unlisted, method: str, raw: str
) -> None:
    path = parsed(raw)
    assume(path is not None)
    assert path is not None

    found = compiled(listed, unlisted).match(method, path)

    expected = quote(listed, unlisted_denied=unlisted is Unlisted.DENIED, method=method, path=raw)
    if isinstance(expected, str):
        assert found is None
    else:
        assert found is not None
        # Two readings may cost the same by two patterns of one rank; then either will do.
        assert (found.credits, found.rank) == (expected.credits, expected.rank)


@given(crowd=crowds(), method=st.sampled_from(METHODS))
def test_of_many_patterns_that_match_the_best_is_found(
    crowd: tuple[list[ModelPrice], str], method: str
) -> None:
    listed, raw = crowd

    found = compiled(listed).match(method, parse(raw))

    expected = quote(listed, unlisted_denied=False, method=method, path=raw)
    if isinstance(expected, str):
        assert found is None
    else:
        assert found is not None
        assert (found.method, found.path) == (expected.method, expected.path)


@given(
    listed=price_lists,
    unlisted=st.sampled_from(Unlisted),
    method=st.sampled_from(METHODS),
    plain=plain_paths,
    spell=st.sampled_from(SPELLINGS),
)
def test_no_spelling_is_cheaper_than_another(
    listed: list[ModelPrice], unlisted: Unlisted, method: str, plain: str, spell: Spelling
) -> None:
    prices_ = compiled(listed, unlisted)
    path = parse(spell(plain))
    as_plain = prices_.match(method, parse(plain))
    assume(as_plain is not None and parse(plain).readings[0] in path.readings)
    assert as_plain is not None

    as_spelt = prices_.match(method, path)

    assert as_spelt.credits >= as_plain.credits if as_spelt else unlisted is Unlisted.DENIED


@given(data=st.data(), raw=doubtful_paths)
def test_a_path_costs_what_its_dearest_reading_costs(data: st.DataObject, raw: str) -> None:
    path = parse(raw)
    prices_ = compiled(data.draw(lists_for(raw)))

    found = prices_.match("GET", path)

    alone = [prices_.match("GET", Path("", (reading,))) for reading in path.readings]
    assert (found.credits if found else 0) == max(each.credits if each else 0 for each in alone)


# Fields


def is_bad(fields: Fields) -> bool:
    try:
        fields.done()
    except Refused:
        return True
    return False


texts = st.one_of(
    st.text(max_size=20),
    st.text("aZ9._:@/- ~\x7f\x80é", max_size=6),
    st.integers(254, 258).map(lambda length: "a" * length),
    st.integers(126, 130).map(lambda length: "a" * length),
)
odd_patterns = st.one_of(
    patterns,
    st.lists(
        st.lists(
            st.sampled_from(
                [*"ab{}*.%?#;\\ é\x00<>:[]$=+", "**", "{x}", "{.}", "...", ":run", "$id", "Id"]
            ),
            max_size=3,
        ).map("".join),
        max_size=4,
    ).map("/".join),
)
methods = st.one_of(st.sampled_from(["*", "GET", "get", "", "G-1_", "1GET"]), st.text(max_size=4))


@given(text=texts)
def test_a_text_is_good_or_bad_for_both(text: str) -> None:
    for name, model_name in {
        "account_id": "account_id",
        "request_id": "request_id",
        "text": "note",
        "method": "method",
    }.items():
        fields = Fields()
        getattr(fields, name)(name, text)

        assert is_bad(fields) == (not GOOD[model_name](text)), name


@given(
    rows=st.lists(
        st.tuples(
            methods,
            odd_patterns,
            st.sampled_from([0, 1, -1, 10**12, 10**12 + 1]),
            st.sampled_from([(), ("2xx",), ("404", "5xx"), ("6xx",), ("20x",), ("99",)]),
            st.sampled_from(["", "a note", "\x00", "a" * 257]),
        ),
        max_size=3,
    )
)
def test_a_price_list_is_good_or_bad_for_both(rows: list[tuple[Any, ...]]) -> None:
    fields = Fields()
    fields.prices(
        "prices",
        [
            Price(method, path, credits_, note, charge_on)
            for method, path, credits_, charge_on, note in rows
        ],
    )

    expected = GOOD["prices"]([ModelPrice(*row) for row in rows])

    assert is_bad(fields) == (not expected)
