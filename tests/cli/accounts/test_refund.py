"""`tollkeeper refund` and `void`, against a real server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.processes import Serving


def charged(server: Serving, name: str) -> str:
    server.json("account", "create", name)
    server.json("grant", name, "100")
    ended = server.run("authorize", name, "GET", "/v1/leads", "--quiet")
    reservation_id = ended.out.strip()
    server.json("commit", reservation_id, "--status", "200")
    return reservation_id


def test_a_charge_is_refunded_in_part_and_then_the_rest(server: Serving) -> None:
    reservation_id = charged(server, "refunded")

    part = server.run("refund", reservation_id, "4", "--note", "ticket 12", "--request-id", "r-4")
    assert part.code == 0, part.err
    assert part.out.startswith(f"4 credits of {reservation_id} given back\n")
    assert re.search(r"^available now +94", part.out, re.MULTILINE)
    again = server.run("refund", reservation_id, "4", "--note", "ticket 12", "--request-id", "r-4")
    assert again.out.startswith(f"4 credits of {reservation_id} were given back before\n")

    rest = server.json("refund", reservation_id)
    assert (rest["credits"], rest["balance"]["available"]) == (6, 100)
    lines = server.json("statement", "refunded")["entries"]
    assert [(line["kind"], line["credits"]) for line in lines[-2:]] == [
        ("KIND_REFUND", 4),
        ("KIND_REFUND", 6),
    ]


def test_more_than_the_charge_is_refused_with_exit_code_1(server: Serving) -> None:
    reservation_id = charged(server, "too-much")

    ended = server.run("refund", reservation_id, "11")

    assert ended.code == 1
    assert "10 are left to refund" in ended.err


def test_what_comes_from_a_voided_grant_is_a_new_grant_where_that_is_asked(
    server: Serving,
) -> None:
    reservation_id = charged(server, "voided")
    grant_id = server.json("overview", "voided")["grants"][0]["grant_id"]

    void = server.run("void", "voided", grant_id, "--note", "a mistake")
    assert void.code == 0, void.err
    assert void.out.startswith(f"grant {grant_id} of account voided is voided\n")
    assert re.search(r"^available now +0", void.out, re.MULTILINE)

    kept = server.json("refund", reservation_id, "--expires", "+30d")
    assert (kept["credits"], kept["balance"]["available"]) == (10, 10)
    (grant,) = server.json("overview", "voided")["grants"]
    assert grant["grant_id"] == kept["grant_id"] != grant_id


def test_a_grant_that_there_is_not_is_refused_with_exit_code_1(server: Serving) -> None:
    server.json("account", "create", "without")

    ended = server.run("void", "without", "1a")

    assert ended.code == 1
    assert "account without has no grant 1a" in ended.err
