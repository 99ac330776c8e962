"""What a person sees: no figure and no id is cut at any width, and no text of others steers the terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tollkeeper.cli.terminal.json_form import to_json, to_json_line
from tollkeeper.cli.terminal.layout import Table, records, wrapped
from tollkeeper.cli.terminal.visible import visible, visible_json, visible_lines

WIDTHS = st.integers(10, 200) | st.none()
FIGURES = st.integers(-(10**18), 10**18).map("{:,}".format)
IDS = st.text("abcdef0123456789-", min_size=1, max_size=128)
TEXTS = st.lists(st.text("añ終[]:", min_size=1, max_size=12), max_size=8).map(" ".join)
ROWS = st.lists(st.tuples(IDS, FIGURES, TEXTS, FIGURES), min_size=1, max_size=5)


def lines_of(table: Table, width: int | None) -> list[str]:
    return [f"{line.name}{line.text}" for line in table.lines(width)]


def table_of(rows: list[tuple[str, str, str, str]]) -> Table:
    made = Table(
        "grant", "credits", "what for", "held", numbers=("credits", "held"), ids=("grant",)
    )
    for row in rows:
        made.add_row(*row)
    return made


@given(rows=ROWS, width=WIDTHS)
def test_every_figure_and_every_id_is_whole_at_every_width(
    rows: list[tuple[str, str, str, str]], width: int | None
) -> None:
    words = [word for line in lines_of(table_of(rows), width) for word in line.split()]

    for grant, credits, _, held in rows:
        assert {grant, credits, held} <= {*words}


@given(rows=ROWS, width=WIDTHS)
def test_a_text_is_broken_at_blanks_alone(
    rows: list[tuple[str, str, str, str]], width: int | None
) -> None:
    words = [word for line in lines_of(table_of(rows), width) for word in line.split()]

    assert {word for _, _, text, _ in rows for word in text.split()} <= {*words}


@given(rows=ROWS, width=st.integers(10, 200))
def test_only_a_line_of_one_word_is_longer_than_the_terminal(
    rows: list[tuple[str, str, str, str]], width: int
) -> None:
    for line in table_of(rows).lines(width):
        assert cell_len(line.name + line.text) <= width or " " not in line.text


def test_what_does_not_fit_becomes_records() -> None:
    made = table_of([("1a", "1,000", "a text", "0"), ("2b", "5", "", "7")])

    assert lines_of(made, 18) == [
        *("grant     1a", "credits   1,000", "what for  a text", "held      0"),
        "",
        *("grant     2b", "credits   5", "held      7"),
    ]


def test_columns_of_zeros_and_the_spare_one_give_way_first() -> None:
    made = Table(
        *("path", "requests", "denied", "id"),
        numbers=("requests", "denied"),
        zeros=("requests", "denied"),
        spare="id",
    )
    made.add_row("/v1/leads", "12", "0", "55109cce5ba7020")

    assert lines_of(made, 60)[0].split() == ["path", "requests", "denied", "id"]
    assert lines_of(made, 37)[0].split() == ["path", "requests", "id"]
    assert lines_of(made, 20)[0].split() == ["path", "requests"]
    assert made.leaves_out_spare(20)
    assert not made.leaves_out_spare(37)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /v1/leads/:id: 10 credits", "GET /v1/leads/:id: 10 credits"),
        ("[red]bold[/red] :smile: \\x1b", "[red]bold[/red] :smile: \\x1b"),
        ("Ünïcödé 終 👩‍👩‍👧", "Ünïcödé 終 👩‍👩‍👧"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("a\x00b\x7f", r"a\x00b\x7f"),
        ("one\ntwo\tthree\r", r"one\ntwo\tthree\r"),
        ("abc\u202edef\u2066", r"abc\u202edef\u2066"),
        ("soft\u00adhyphen\u200bnone\ufeff", r"soft\xadhyphen\u200bnone\ufeff"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_a_text_is_shown_as_it_is_but_for_what_steers_a_terminal(text: str, shown: str) -> None:
    table = Table("what")
    table.add_row(text)

    assert visible(text) == shown
    assert lines_of(table, None)[-1].strip() == shown.strip()


def test_lines_stay_lines_where_they_are_meant() -> None:
    assert visible_lines("one\n\ttwo\r\x1b") == "one\n\ttwo\\r\\x1b"


@given(st.text(st.characters()))
def test_json_means_the_same_without_a_character_that_steers(text: str) -> None:
    written = to_json({"note": text}), to_json_line({"note": text})

    for each in written:
        assert json.loads(each) == {"note": text}
        assert visible_json(each) == each
        assert visible_lines(each) == each


def test_a_record_has_its_names_below_each_other() -> None:
    found = records([("a", "one two three"), ("longer", "x"), ("none", "")], 14)

    assert [f"{line.name}{line.text}" for line in found] == [
        "a       one",
        "        two",
        "        three",
        "longer  x",
    ]


def test_a_word_that_is_too_long_stays_whole() -> None:
    assert wrapped("ab " + "c" * 20 + " de", 10) == ["ab", "c" * 20, "de"]
