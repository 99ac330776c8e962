"""Page tokens: only the query that a token was made for takes it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.rpc.convert.page_token import decode, encode

QUERY = ("entries", "acme", None, 7)


TEXT = st.text(st.characters(codec="utf-8"), max_size=64)


@given(st.lists(TEXT | st.integers() | st.none()), TEXT)
def test_a_query_reads_its_own_token(query: list[str | int | None], place: str) -> None:
    assert decode(query, encode(query, place)) == place


@pytest.mark.parametrize(
    "other",
    [("entries", "acme", None, 8), ("entries", "acme", 7), ("accounts", "acme", None, 7), ()],
)
def test_a_token_of_another_query_is_refused(other: tuple[str | int | None, ...]) -> None:
    assert decode(other, encode(QUERY, "17")) is None


@pytest.mark.parametrize("position", range(0, 14, 3))
def test_a_token_that_was_changed_is_refused(position: int) -> None:
    token = encode(QUERY, "17")
    other = "A" if token[position] != "A" else "B"

    assert decode(QUERY, token[:position] + other + token[position + 1 :]) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "not a token",
        "é",
        "A" * 513,
        encode(QUERY, "17") + "=",
        encode(QUERY, "17")[:-1],
        base64.urlsafe_b64encode(bytes(range(240, 256))).decode().rstrip("="),
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert decode(QUERY, token) is None
