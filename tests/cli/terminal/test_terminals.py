"""Every command on terminals of several widths, with names that are meant to do harm, against a real server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.commands import every_leaf
from tests.cli.processes import Serving, serving
from tests.support.thorough import with_thorough
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

WIDTHS = ("60", "80", "120", "")
ACCOUNT = "a" * 60 + "/" + "b" * 67
NAME = "[red]N\u202eame[/red] :id: 終 [bold"
SHOWN = r"[red]N\u202eame[/red] :id: 終 [bold"
PATH = "/v1/leads/{id}:convert"
NOTE = "[link=x] :heart: \u2066pay\u2069 of 1,234 [/]"
NOTE_SHOWN = r"[link=x] :heart: \u2066pay\u2069 of 1,234 [/]"
REQUEST = "r" + "0" * 127
MANY = 10**15
STEERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]")
COMMANDS_OF_OTHERS = {"serve", "migrate", "verify", "loadtest", "prices annotate-openapi"}
"""They ask no server that is running, or print no table; each has tests of its own."""


class Hostile(NamedTuple):
    """A ledger full of such names, and the ids that it has given."""

    server: Serving
    reservation: str
    grant: str
    webhook: str
    prices: str


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Generator[Hostile]:
    folder = tmp_path_factory.mktemp("hostile")
    prices = folder / "prices.toml"
    prices.write_text(
        f'note = "{NOTE}"\n[[price]]\nmethod = "GET"\npath = "{PATH}"\ncredits = 10\n'
        f'note = "{NOTE}"\ncharge_on = ["2xx", "404"]\n',
        encoding="utf-8",
    )
    with serving(folder, "--prices", str(prices)) as server:
        server.json(
            *("account", "create", ACCOUNT, "--name", NAME, "--credit-limit", str(MANY)),
            *("--limit", f"[red]:id:=1000 credits/day, endpoint=GET {PATH}"),
            *("--alert", "[b]:low:=consumed 5/month"),
        )
        granted = [server.json("grant", ACCOUNT, str(MANY), "--note", NOTE) for _ in range(3)]
        held = server.json(
            "authorize", ACCOUNT, "GET", "/v1/leads/7:convert", "--request-id", REQUEST
        )
        reservation = held["reservation"]["reservation_id"]
        server.json("commit", reservation, "--status", "200")
        server.json("recurring", "create", ACCOUNT, str(MANY), "--every", "month", "--note", NOTE)
        hook = server.json(
            *("webhook", "create", "https://example.com/[red]:id:", "--description", NOTE)
        )
        grant: str = granted[-1]["grant"]["grant_id"]
        assert wait_until(lambda: "1 event" in server.run("events").out, timeout_s=20)
        yield Hostile(server, reservation, grant, hook["webhook"]["webhook_id"], str(prices))


READS: dict[str, tuple[str, tuple[str, ...]]] = {
    "account show": ("ACCOUNT", (ACCOUNT, SHOWN, "[red]:id:=1000", "1,000,000,000,000,000")),
    "account list": ("", (ACCOUNT, "3,999,999,999,999,990", "1,000,000,000,000,000")),
    "account update": ("ACCOUNT --name NAME", (ACCOUNT, SHOWN)),
    "account limits": ("ACCOUNT", ("[red]:id:=1000", "990", ACCOUNT)),
    "account alerts": ("ACCOUNT", ("[b]:low:=consumed", "5/month", ACCOUNT)),
    "account prices": ("ACCOUNT --default", (ACCOUNT,)),
    "account unblock": ("ACCOUNT", (ACCOUNT, "is active")),
    "grant": ("ACCOUNT 7 --note NOTE --request-id REQUEST", (ACCOUNT, REQUEST)),
    "recurring list": ("ACCOUNT", ("1,000,000,000,000,000", "UTC", "month")),
    "authorize": ("ACCOUNT GET /v1/leads/7:convert --request-id REQUEST", ("RESERVATION", REQUEST)),
    "commit": ("RESERVATION --status 200", ("10 credits charged", "4,999,999,999,999,")),
    "explain": ("RESERVATION", ("RESERVATION", ACCOUNT, REQUEST)),
    "overview": ("ACCOUNT", (ACCOUNT, "GRANT", PATH, "1,000,000,000,000,000", "[red]:id:=1000")),
    "statement": ("ACCOUNT", ("+1,000,000,000,000,000", "2,999,999,999,999,990")),
    "consumption": ("", (ACCOUNT, "10")),
    "totals": ("", (PATH, "10")),
    "events": ("", (ACCOUNT, "[b]:low:: consumed 10, threshold 5", "1 event")),
    "prices list": ("", ("1", "in force")),
    "prices show": ("", (PATH, "10", "2xx,", "404")),
    "prices diff": ("PRICES", ("nothing differs from version 1",)),
    "prices publish": ("PRICES --request-id same", ("version 2", "request_id same")),
    "webhook list": ("", ("WEBHOOK", "https://example.com/[red]:id:")),
    "webhook dead": ("", ("0 deliveries dead",)),
    "webhook pause": ("WEBHOOK", ("WEBHOOK", "https://example.com/[red]:id:")),
    "refund": ("RESERVATION 1 --request-id refund", ("RESERVATION",)),
    "debit": ("ACCOUNT 5 --note NOTE --request-id debit", (ACCOUNT,)),
}


@pytest.mark.parametrize("width", with_thorough(WIDTHS, quick=["60", ""]))
@pytest.mark.parametrize("command", READS)
def test_nothing_is_cut_and_nothing_steers_the_terminal(
    command: str, width: str, hostile: Hostile
) -> None:
    words = {
        "ACCOUNT": ACCOUNT,
        "NAME": NAME,
        "NOTE": NOTE,
        "REQUEST": REQUEST,
        "RESERVATION": hostile.reservation,
        "GRANT": hostile.grant,
        "WEBHOOK": hostile.webhook,
        "PRICES": hostile.prices,
    }
    arguments, expected = READS[command]

    ended = hostile.server.run(
        *command.split(), *(words.get(each, each) for each in arguments.split()), COLUMNS=width
    )

    assert (ended.code, ended.err) == (0, "")
    assert not STEERS.search(ended.out)
    assert "…" not in ended.out
    for each in expected:
        assert words.get(each, each) in ended.out
    if "NOTE" in arguments or command in {"overview", "recurring list", "explain"}:
        assert set(NOTE_SHOWN.split()) <= set(ended.out.split())


def test_every_other_command_is_known_to_print_no_table() -> None:
    silent = {
        *("account create", "account block", "account close", "void", "release", "extend"),
        *("recurring create", "recurring end", "recurring replace"),
        *("webhook create", "webhook update", "webhook resume", "webhook rotate"),
        *("webhook delete", "webhook retry", "webhook test"),
    }

    assert {*every_leaf()} == {*READS} | COMMANDS_OF_OTHERS | silent


def test_an_id_of_others_in_an_error_steers_nothing(hostile: Hostile) -> None:
    person = hostile.server.run("account", "show", "\x1b[31m\u202ex")
    script = hostile.server.run("account", "show", "\x1b[31m\u202ex", "--json")

    assert person.code == script.code == 1
    assert not STEERS.search(person.err + script.err)


def test_csv_and_markdown_have_every_character_as_it_was_given(hostile: Hostile) -> None:
    for form in ("--csv", "--markdown"):
        assert "\u2066pay\u2069 of 1,234" in hostile.server.run("prices", "show", form).out
    assert "\u2066pay\u2069 of 1,234" in hostile.server.run("statement", ACCOUNT, "--csv").out
