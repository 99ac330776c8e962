"""The commands that ask a server, against a real one: output, JSON, exit codes, repetition."""

from __future__ import annotations

import csv
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import Ended, Serving, here, tollkeeper
from tests.support.thorough import thorough
from tollkeeper.cli import gateway
from tollkeeper.core.outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def account(server: Serving, name: str, credits: int = 0) -> str:
    server.json("account", "create", name)
    if credits:
        server.json("grant", name, str(credits))
    return name


def authorized(server: Serving, name: str, path: str = "/v1/leads") -> str:
    ended = server.run("authorize", name, "GET", path, "--quiet")
    assert ended.code == 0, ended.err
    return ended.out.strip()


def test_an_account_is_opened_for_a_person(server: Serving) -> None:
    ended = server.run("account", "create", "person", "--name", "A [person]", "--credit-limit", "5")

    assert ended.code == 0
    assert ended.out.startswith("account person is open\n")
    for line in (r"name +A \[person\]", r"state +active", r"available +5", r"request_id +"):
        assert re.search(rf"^{line}", ended.out, re.MULTILINE)


def test_an_account_is_opened_for_a_script(server: Serving) -> None:
    answer = server.json("account", "create", "script")

    assert UUID.fullmatch(answer["request_id"])
    assert list(answer["account"]) == [
        "account_id",
        "display_name",
        "state",
        "credit_limit",
        "limits",
        "create_time",
        "balance",
        "price_list",
        "upcoming_price_lists",
        "recurring_grants",
        "alerts",
    ]
    assert answer["account"]["state"] == "ACCOUNT_STATE_ACTIVE"
    assert answer["account"]["balance"] == {
        "available": 0,
        "settled": 0,
        "held": 0,
        "credit_limit": 0,
    }


def test_a_refusal_is_said_in_the_servers_words(server: Serving) -> None:
    account(server, "twice")

    ended = server.run("account", "create", "twice")

    assert (ended.code, ended.out, ended.err) == (1, "", "there is an account twice already\n")


def test_bad_fields_are_listed(server: Serving) -> None:
    ended = server.run("account", "create", "bad id", "--name", "x" * 300)

    assert ended.code == 1
    assert "account_id: must be 1 to 128 characters" in ended.err
    assert "display_name: must not be longer than 256 characters" in ended.err
    assert ended.err.count("account_id:") == 1


def test_accounts_are_listed_by_prefix(server: Serving) -> None:
    for name in ("list/b", "list/a", "list/c"):
        account(server, name)

    listed = server.json("account", "list", "--prefix", "list/")

    assert [each["account_id"] for each in listed["accounts"]] == ["list/a", "list/b", "list/c"]
    assert "3 accounts" in server.run("account", "list", "--prefix", "list/").out
    assert server.run("account", "list", "--prefix", "nobody").out == "0 accounts\n"


def test_a_blocked_account_is_denied_until_it_is_unblocked(server: Serving) -> None:
    account(server, "naughty", 100)

    assert "account naughty is blocked" in server.run("account", "block", "naughty").out
    denied = server.run("authorize", "naughty", "GET", "/v1/leads")
    assert "account naughty is active" in server.run("account", "unblock", "naughty").out

    assert denied.code == 3
    assert denied.err.startswith("denied: ")
    assert "(ACCOUNT_BLOCKED, answer HTTP 403)" in denied.err
    assert authorized(server, "naughty")


def test_a_grant_is_repeated_by_its_request_id(server: Serving) -> None:
    account(server, "granted")
    line = ("grant", "granted", "1000", "--note", "invoice 7", "--priority", "3")

    first = server.json(*line, "--request-id", "invoice-7")
    second = server.run(*line, "--request-id", "invoice-7")
    other = server.run("grant", "granted", "999", "--request-id", "invoice-7")

    assert first["request_id"] == "invoice-7"
    assert first["grant"]["credits"] == 1000
    assert first["balance"]["available"] == 1000
    assert "1,000 credits were granted before to account granted" in second.out
    assert server.json("account", "show", "granted")["account"]["balance"]["settled"] == 1000
    assert other.code == 1
    assert "request_id invoice-7 was used before" in other.err


def test_a_grant_can_expire(server: Serving) -> None:
    account(server, "expiring")

    answer = server.json(
        "grant", "expiring", "5", "--expires", "2090-01-01", "--zone", "Europe/Berlin"
    )

    assert answer["grant"]["expire_time"] == "2089-12-31T23:00:00Z"


def test_a_request_is_authorized_and_committed(server: Serving) -> None:
    account(server, "caller", 100)

    held = server.json("authorize", "caller", "GET", "/v1/leads?page=2", "--request-id", "r-1")
    again = server.run("authorize", "caller", "GET", "/v1/leads", "--request-id", "r-1")
    settled = server.json("commit", held["reservation"]["reservation_id"], "--status", "200")

    assert held["reservation"]["credits"] == 10
    assert held["reservation"]["state"] == "RESERVATION_STATE_HELD"
    assert held["balance"] == {"available": 90, "settled": 100, "held": 10, "credit_limit": 0}
    assert "10 credits were held before for GET /v1/leads; the hold is still open" in again.out
    assert settled["state"] == "RESERVATION_STATE_COMMITTED"
    assert settled["outcome"] == "OUTCOME_VALID_RESPONSE"
    assert settled["credits"] == 10
    assert settled["balance"]["settled"] == 90


def test_a_request_that_failed_is_not_charged(server: Serving) -> None:
    account(server, "failing", 100)

    by_status = server.run("commit", authorized(server, "failing"), "--status", "500")
    by_outcome = server.run("commit", authorized(server, "failing"), "--outcome", "RATE_LIMITED")
    released = server.run("release", authorized(server, "failing"))

    assert by_status.out.startswith("nothing charged: server_error\n")
    assert by_outcome.out.startswith("nothing charged: rate_limited\n")
    assert released.out.startswith("nothing charged; the hold is released\n")
    assert re.search(r"^available now +100$", released.out, re.MULTILINE)


def test_an_open_hold_is_extended(server: Serving) -> None:
    account(server, "slow", 100)
    held = server.json("authorize", "slow", "GET", "/v1/leads")["reservation"]
    reservation = held["reservation_id"]

    longer = server.json("extend", reservation, "--hold", "86400")
    told = server.run("extend", reservation)
    server.run("commit", reservation, "--status", "200")
    settled = server.run("extend", reservation)
    unknown = server.run("extend", "1a-2b")

    assert longer["expire_time"] > held["expire_time"]
    assert longer["balance"]["held"] == 10
    assert told.code == 0
    assert told.out.startswith("the credits are held until 20")
    assert re.search(r"^held +10$", told.out, re.MULTILINE)
    assert settled.code == 1
    assert f"reservation {reservation} was committed and charged 10 credits" in settled.err
    assert unknown.code == 1
    assert "there is no reservation 1a-2b" in unknown.err


def test_a_settled_hold_is_not_settled_otherwise(server: Serving) -> None:
    account(server, "settled", 100)
    reservation = authorized(server, "settled")

    first = server.run("commit", reservation, "--status", "200")
    again = server.run("commit", reservation, "--status", "200")
    other = server.run("release", reservation)

    assert first.out.startswith("10 credits charged: valid_response\n")
    assert again.out.startswith("10 credits charged: valid_response (repeated)\n")
    assert other.code == 1
    assert reservation in other.err


def test_a_denial_ends_with_3_and_is_still_json(server: Serving) -> None:
    account(server, "poor", 5)

    ended = server.run("authorize", "poor", "GET", "/v1/leads", "--json")

    assert ended.code == 3
    assert ended.json["denial"]["reason"] == "DENIAL_REASON_INSUFFICIENT_CREDITS"
    assert ended.error["reason"] == "INSUFFICIENT_CREDITS"
    assert ended.error["message"] == (
        "denied: account poor has 5 credits available; GET /v1/leads costs 10 "
        "(INSUFFICIENT_CREDITS, answer HTTP 402)"
    )


def test_a_dry_run_holds_nothing(server: Serving) -> None:
    account(server, "dry", 100)

    ended = server.run("authorize", "dry", "GET", "/v1/leads", "--dry-run")

    assert "GET /v1/leads would be authorized for 10 credits; nothing is held" in ended.out
    assert server.json("account", "show", "dry")["account"]["balance"]["held"] == 0


def test_a_free_endpoint_needs_no_commit(server: Serving) -> None:
    account(server, "free")

    ended = server.run("authorize", "free", "GET", "/v1/free")

    assert ended.code == 0
    assert ended.out == "GET /v1/free is free: nothing is held, and there is nothing to commit\n"


def test_a_hold_lasts_as_long_as_asked(server: Serving) -> None:
    account(server, "holding", 100)

    held = server.json("authorize", "holding", "GET", "/v1/leads", "--hold", "3600")

    times = [held["reservation"][name][:13] for name in ("create_time", "expire_time")]
    assert times[0] != times[1]


def test_a_price_list_is_published_for_later(server: Serving, tmp_path: Path) -> None:
    file = tmp_path / "later.toml"
    file.write_text(
        'note = "dearer"\n[[price]]\nmethod = "GET"\npath = "/v1/leads"\ncredits = 12\n'
        'charge_on = ["2xx"]\n',
        encoding="utf-8",
    )

    published = server.run("prices", "publish", str(file), "--effective", "2090-01-01")

    assert published.code == 0, published.err
    assert "version 2 holds from 2090-01-01 00:00:00 UTC" in published.out
    assert [each["version"] for each in server.json("prices", "list")["price_lists"]] == [2, 1]
    assert server.json("prices", "show")["version"] == 1
    assert server.json("prices", "show", "--version", "2")["prices"] == [
        {
            "method": "GET",
            "path": "/v1/leads",
            "credits": 12,
            "note": "",
            "charge_on": ["2xx"],
        }
    ]
    assert "there is no price list version 3; the newest is 2" in (
        server.run("prices", "show", "--version", "3").err
    )


def test_a_price_list_is_not_back_dated(server: Serving, tmp_path: Path) -> None:
    file = tmp_path / "earlier.toml"
    file.write_text('[[price]]\nmethod = "GET"\npath = "/a"\ncredits = 1\n', encoding="utf-8")

    ended = server.run("prices", "publish", str(file), "--effective", "-1d")

    assert ended.code == 1
    assert "effective_time is in the past" in ended.err


def test_a_bad_price_list_is_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[[price]]\nmethod = "GET"\npath = "a"\ncredits = 1\n', encoding="utf-8")

    ended = here("prices", "publish", str(file), "--server", "127.0.0.1:1")

    assert ended.code == 1
    assert ended.err == f"{file}: price 1, line 1 (GET a): path: must begin with /\n"


def test_a_statement_has_every_change_with_the_balance_after_it(server: Serving) -> None:
    account(server, "stated", 100)
    reservation = authorized(server, "stated")
    server.json("commit", reservation, "--status", "200")

    narrow = server.run("statement", "stated", COLUMNS="80")
    person = server.run("statement", "stated", COLUMNS="130")
    script = server.json("statement", "stated")
    rows = list(csv.DictReader(server.run("statement", "stated", "--csv").out.splitlines()))

    assert re.search(r"grant +\+100 +100 ", person.out)
    assert re.search(rf"charge +-10 +90 +GET /v1/leads +{reservation}", person.out)
    assert person.out.endswith("2 entries\n")
    assert re.search(r"charge +-10 +90 +GET /v1/leads", narrow.out)
    assert narrow.out.endswith(
        "2 entries; a wider terminal shows their reservations, and so does --csv\n"
    )
    assert script["account_id"] == "stated"
    assert [entry["settled"] for entry in script["entries"]] == [100, 90]
    assert [(row["kind"], row["credits"], row["settled"]) for row in rows] == [
        ("grant", "100", "100"),
        ("charge", "-10", "90"),
    ]


def test_a_statement_is_limited_to_a_period(server: Serving) -> None:
    account(server, "dated", 100)

    assert len(server.json("statement", "dated", "--from", "-1h")["entries"]) == 1
    assert server.json("statement", "dated", "--to", "-1h")["entries"] == []
    assert server.run("statement", "dated", "--to", "-1h").out == "0 entries\n"


@pytest.mark.parametrize(
    "line", ["account show nobody", "overview nobody", "statement nobody", "account block nobody"]
)
def test_an_unknown_account_is_named(line: str, server: Serving) -> None:
    ended = server.run(*line.split())

    assert (ended.code, ended.out) == (1, "")
    assert "nobody" in ended.err


def test_no_server_is_said_at_once_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    started = time.monotonic()

    ended = tollkeeper("account", "list", "--server", address)

    assert ended == Ended(
        4, "", f"no Tollkeeper server answers at {address}; start one with: tollkeeper serve\n"
    )
    assert time.monotonic() - started < 15


@thorough
def test_a_server_that_does_not_speak_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"

        ended = here("account", "list", TOLLKEEPER_SERVER=address)

    assert ended.code == 4
    assert ended.err.startswith(f"no Tollkeeper server answers at {address}; ")


def test_health_is_asked_in_one_word(server: Serving) -> None:
    healthy = tollkeeper(server.address, module="tollkeeper.cli.health")
    elsewhere = tollkeeper("127.0.0.1:1", module="tollkeeper.cli.health")

    assert healthy == Ended(0, "", "")
    assert elsewhere == Ended(1, "", "127.0.0.1:1: NO ANSWER\n")


def test_commit_takes_every_outcome_that_there_is(server: Serving) -> None:
    assert [each.name for each in gateway.Outcome] == [each.name for each in Outcome]

    account(server, "moved", 100)
    ended = server.run("commit", authorized(server, "moved"), "--outcome", "redirected")

    assert ended.out.startswith("nothing charged: redirected\n")
