"""`tollkeeper debit`, against a real server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.processes import Serving


def test_credits_that_were_spent_are_taken_back_and_the_statement_says_why(
    server: Serving,
) -> None:
    server.json("account", "create", "debited")
    server.json("grant", "debited", "100")
    line = ("debit", "debited", "130", "--note", "invoice 7", "--request-id", "d-1")

    ended = server.run(*line)

    assert ended.code == 0, ended.err
    assert ended.out.startswith("130 credits taken back from account debited\n")
    assert re.search(r"^settled +-30 *$", ended.out, re.MULTILINE)
    again = server.run(*line)
    assert again.out.startswith("130 credits were taken back before from account debited\n")
    entry = server.json("statement", "debited")["entries"][-1]
    assert (entry["kind"], entry["credits"], entry["note"]) == ("KIND_DEBIT", -130, "invoice 7")
    told = server.run("statement", "debited").out
    assert re.search(r"debit +-130 +-30 +invoice 7", told)
    assert ",debit,-130,-30,,,,,,invoice 7,," in server.run("statement", "debited", "--csv").out


def test_json_has_the_balance_and_the_key(server: Serving) -> None:
    server.json("account", "create", "debited-json")

    answer = server.json("debit", "debited-json", "5", "--request-id", "d-2")

    assert (answer["credits"], answer["balance"]["settled"]) == (5, -5)
    assert answer["request_id"] == "d-2"


def test_an_account_that_is_not_there_is_refused_with_exit_code_1(server: Serving) -> None:
    ended = server.run("debit", "nobody", "5")

    assert ended.code == 1
    assert "there is no account nobody" in ended.err
