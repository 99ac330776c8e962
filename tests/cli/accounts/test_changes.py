"""What operators change of an account: its credit limit, its name, whether it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.processes import Serving


def test_the_credit_limit_is_changed_and_requests_are_decided_by_it(server: Serving) -> None:
    server.json("account", "create", "line", "--name", "Line")
    assert server.run("authorize", "line", "GET", "/v1/leads").code == 3

    raised = server.run("account", "update", "line", "--credit-limit", "10")
    authorized = server.run("authorize", "line", "GET", "/v1/leads")
    lowered = server.json("account", "update", "line", "--credit-limit", "0")

    assert raised.code == authorized.code == 0
    assert raised.out.startswith("account line is changed\n")
    assert "credit limit  10" in raised.out
    assert lowered["account"]["credit_limit"] == 0
    assert lowered["account"]["display_name"] == "Line"
    assert lowered["account"]["balance"]["available"] == -10


def test_the_name_is_changed_and_can_be_taken_away(server: Serving) -> None:
    server.json("account", "create", "named", "--credit-limit", "5")

    named = server.json("account", "update", "named", "--name", "Somebody [else]")["account"]
    nameless = server.json("account", "update", "named", "--name", "")["account"]

    assert (named["display_name"], named["credit_limit"]) == ("Somebody [else]", 5)
    assert nameless["display_name"] == ""


def test_a_change_is_made_once_under_its_request_id(server: Serving) -> None:
    server.json("account", "create", "once")
    server.json("account", "update", "once", "--credit-limit", "5", "--request-id", "once-1")

    other = server.run("account", "update", "once", "--credit-limit", "6", "--request-id", "once-1")

    assert other.code == 1
    assert "once-1 was used before" in other.err
    assert server.json("account", "show", "once")["account"]["credit_limit"] == 5


def test_what_is_to_change_has_to_be_said_and_be_possible(server: Serving) -> None:
    assert server.run("account", "update", "acme").code == 2
    assert server.run("account", "update", "acme", "--credit-limit", "-1").code == 2
    assert server.run("account", "update", "nobody", "--name", "x").err == (
        "there is no account nobody\n"
    )


def test_an_account_is_closed_once_it_is_empty_and_can_be_opened_again(server: Serving) -> None:
    server.json("account", "create", "leaving")
    grant = server.json("grant", "leaving", "100")["grant"]["grant_id"]

    early = server.run("account", "close", "leaving")
    server.json("void", "leaving", grant)
    closed = server.run("account", "close", "leaving")
    denied = server.run("authorize", "leaving", "GET", "/v1/leads")
    opened = server.run("account", "unblock", "leaving")

    assert (early.code, closed.code, denied.code, opened.code) == (1, 0, 3, 0)
    assert "100" in early.err
    assert closed.out.startswith("account leaving is closed\n")
    assert "ACCOUNT_BLOCKED" in denied.err
    assert opened.out.startswith("account leaving is active\n")
