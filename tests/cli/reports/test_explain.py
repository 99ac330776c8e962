"""`tollkeeper explain`, against a real server: why something was charged, for a person and for a script."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.processes import Serving

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def held(server: Serving, name: str, request_id: str = "r-7") -> str:
    server.json(
        "account", "create", name, "--credit-limit", "50", "--limit", "daily=900 credits/day"
    )
    server.json("grant", name, "7", "--note", "a [gift]")
    ended = server.run(
        *("authorize", name, "GET", "/v1/leads", "--request-id", request_id, "--quiet"),
        TOLLKEEPER_CALLER="gateway-1",
    )
    assert ended.code == 0, ended.err
    return ended.out.strip()


def test_a_charge_is_told_to_a_person(server: Serving) -> None:
    reservation_id = held(server, "person")
    server.json("commit", reservation_id, "--status", "200")
    server.json("refund", reservation_id, "3", "--note", "ticket [12]")

    ended = server.run("explain", reservation_id)

    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0] == f"reservation {reservation_id} is committed"
    assert re.fullmatch(
        f"{MOMENT} UTC authorized by gateway-1: 10 credits held for GET /v1/leads by price list 1",
        lines[2],
    )
    # However long it is, a sentence stands on one line, so that it can be pasted.
    assert re.fullmatch(
        rf"{MOMENT} UTC charged by cli:.+@.+: 10 credits \(7 of grant [0-9a-f]+ \"a \[gift\]\", 3 of the"
        r" credit line\), because status 200 counts as VALID_RESPONSE; entry 2 of the journal, settled"
        r" -3 after it",
        lines[3],
    )
    assert lines[4].endswith(
        "refunded: 3 credits given back (ticket [12]); entry 3 of the journal, settled 0 after it"
    )
    for line in (
        r"account +person",
        r"request_id +r-7",
        r"price +10 credits, by price list 1, from ",
        r"HTTP status +200",
        r"outcome +valid_response",
        r"refunded +3",
        r"authorized by +gateway-1",
        r"journal +entry 2, entry 3",
        r" grant [0-9a-f]+ +7 +0 +never +a \[gift\]",
        r" the credit line +3",
        r" daily=900 credits/day +10 ",
    ):
        assert re.search(rf"^{line}", ended.out, re.MULTILINE), line


def test_a_gateways_name_and_a_zone_tell_the_same_in_json_and_on_paper(server: Serving) -> None:
    reservation_id = held(server, "script", "r [8]")

    answer = server.json("explain", "--account", "script", "--request", "r [8]")
    page = server.run("explain", reservation_id, "--zone", "Asia/Kolkata")

    assert answer["reservation_id"] == reservation_id
    assert answer["request_id"] == "r [8]"
    assert answer["state"] == "RESERVATION_STATE_HELD"
    assert [each["text"].split()[0] for each in answer["timeline"]] == ["authorized", "still"]
    assert re.search(rf"^{MOMENT} IST still held: until {MOMENT} UTC", page.out, re.MULTILINE)
    assert "request_id     r [8]" in page.out


def test_the_command_line_says_who_it_is(server: Serving) -> None:
    reservation_id = held(server, "caller")

    server.run("release", reservation_id, TOLLKEEPER_CALLER="support desk")
    bad = server.run("release", reservation_id, TOLLKEEPER_CALLER="x" * 65)
    answer = server.json("explain", reservation_id)

    assert (answer["authorized_by"], answer["settled_by"]) == ("gateway-1", "support desk")
    assert bad.code == 2
    assert "TOLLKEEPER_CALLER is" in bad.err


def test_a_request_that_was_denied_is_not_stored(server: Serving) -> None:
    server.json("account", "create", "poor")
    server.run("authorize", "poor", "GET", "/v1/leads", "--request-id", "denied")

    ended = server.run("explain", "--account", "poor", "--request", "denied")

    assert ended.code == 1
    assert (
        "account poor has no reservation for request_id denied: a request that was denied"
        in ended.err
    )


@pytest.mark.parametrize(
    "arguments",
    [(), ("--account", "a"), ("--request", "r"), ("1-1", "--account", "a", "--request", "r")],
)
def test_one_way_to_name_a_reservation_is_needed(
    server: Serving, arguments: tuple[str, ...]
) -> None:
    ended = server.run("explain", *arguments)

    assert ended.code == 2
    assert "give either a RESERVATION, or --account and --request" in ended.err
