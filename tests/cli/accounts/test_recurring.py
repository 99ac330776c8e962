"""Recurring grants on the command line: set up, shown, ended and refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli.reports.statement import subject
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from tests.cli.processes import Serving


def test_a_plan_is_set_up_shown_and_ended(server: Serving) -> None:
    server.json("account", "create", "planned")
    created = server.run(
        *("recurring", "create", "planned", "1000", "--every", "month", "--rollover", "200"),
        *("--from", "2026-01-31", "--zone", "Europe/Berlin", "--note", "plan M"),
    )
    assert created.code == 0, created.err
    assert created.out.startswith("1,000 credits every month for account planned, from now on\n")
    assert "recurring grant  1" in created.out
    assert "available now    1,000" in created.out

    listed = server.run("recurring", "list", "planned", "--zone", "Europe/Berlin").out
    assert "1,000  month  Europe/Berlin" in listed
    assert "up to 200   never" in listed
    assert listed.endswith("1 recurring grant\n")
    (shown,) = server.json("recurring", "list", "planned")["recurring_grants"]
    assert (shown["recurring_grant_id"], shown["credits"]) == ("1", 1_000)
    assert shown["anchor"] == "2026-01-30T23:00:00Z"
    page = server.run("overview", "planned").out
    assert "Recurring grants" in page
    (grant,) = server.json("overview", "planned")["grants"]
    assert (grant["recurring_grant_id"], grant["rolled_over"]) == ("1", False)
    assert grant["expire_time"] == shown["next_time"]

    ended = server.run("recurring", "end", "planned", "1", "--at", "+400d")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("no period of recurring grant 1 begins at the end or later\n")
    assert server.json("recurring", "end", "planned", "1")["balance"]["available"] == 1_000
    assert "Recurring grants" not in server.run("overview", "planned").out
    (kept,) = server.json("recurring", "list", "planned")["recurring_grants"]
    assert "next_time" not in kept


def test_a_plan_is_replaced_by_another(server: Serving) -> None:
    server.json("account", "create", "replaced")
    server.json("recurring", "create", "replaced", "1000", "--every", "year")
    line = ("recurring", "replace", "replaced", "1", "3000", "--note", "plan L", "--rollover", "5")

    ended = server.run(*line, "--request-id", "swap-1")

    assert ended.code == 0, ended.err
    first, *facts = ended.out.splitlines()
    assert first == "recurring grant 1 of account replaced is replaced by 3,000 credits every year"
    told = {line[:17].strip(): line[17:].strip() for line in facts}
    assert told["recurring grant"] == "2"
    assert (told["taken back"], told["given now"]) == ("999", "2,999")
    assert (told["rolls over"], told["note"]) == ("up to 5", "plan L")
    assert told["available now"] == "3,000"
    again = server.run(*line, "--request-id", "swap-1")
    assert "recurring grant 1 of account replaced was replaced before" in again.out
    shown = server.json("recurring", "list", "replaced")["recurring_grants"]
    assert [each["recurring_grant_id"] for each in shown] == ["1", "2"]

    later = server.json(
        *("recurring", "replace", "replaced", "2", "70", "--period", "week"),
        *("--when", "next-period"),
    )
    assert (later["voided_credits"], later["granted_credits"]) == (0, 0)
    assert later["end_time"] == shown[1]["next_time"] == later["recurring_grant"]["next_time"]
    assert later["recurring_grant"]["period"] == "PERIOD_WEEK"
    over = server.run("recurring", "replace", "replaced", "1", "5")
    assert over.code == 1
    assert "recurring_grant_id: has ended" in over.err


def test_a_statement_tells_what_rolled_over() -> None:
    entry = admin_pb2.Entry(kind=admin_pb2.Entry.KIND_GRANT, grant_id="1000007ff000", note="plan M")
    entry.rolled_over = True

    assert subject(entry) == "grant 1000007ff000 (rolled over): plan M"


def test_a_repeat_says_so_and_does_nothing(server: Serving) -> None:
    server.json("account", "create", "repeated")
    line = ("recurring", "create", "repeated", "5", "--every", "day", "--request-id", "plan-1")
    assert server.run(*line).code == 0

    again = server.run(*line)

    assert "were set up before" in again.out
    assert len(server.json("recurring", "list", "repeated")["recurring_grants"]) == 1


def test_what_cannot_be_is_refused_by_the_server_with_its_reason(server: Serving) -> None:
    server.json("account", "create", "refused")

    unknown = server.run("recurring", "end", "refused", "7")
    late = server.run("recurring", "create", "refused", "5", "--every", "day", "--until", "-1d")
    nothing = server.run("recurring", "list", "nobody")

    assert (unknown.code, late.code, nothing.code) == (1, 1, 1)
    assert "account refused has no recurring grant 7" in unknown.err
    assert "end_time: must be in the future" in late.err
    assert "there is no account nobody" in nothing.err
