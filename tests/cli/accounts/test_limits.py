"""Limits on the command line: as they are written, set, shown and refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import here
from tollkeeper.cli.accounts.limit_spec import EXAMPLE, describe, parse_limits

if TYPE_CHECKING:
    from tests.cli.processes import Serving


@pytest.mark.parametrize(
    "spec",
    [
        EXAMPLE,
        "burst=10 requests/second",
        "a b=0 credits/month, zone=Asia/Kolkata",
        "x=1 requests/week, endpoint=* /v1/files/**",
    ],
)
def test_a_limit_is_written_as_it_is_read(spec: str) -> None:
    (limit,) = parse_limits([spec])

    assert describe(limit) == spec
    assert parse_limits([describe(limit)]) == [limit]


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "daily",
        "daily=many credits/day",
        "daily=10 credits/day, zone=",
        "daily=10 credits/day, endpoint=GET",
        "daily=10 credits/day, lit=1",
        f"daily={2**63} credits/day",
    ],
)
def test_what_is_no_limit_is_wrong_usage_and_an_example_is_given(spec: str) -> None:
    ended = here("account", "create", "acme", "--limit", spec)

    assert ended.code == 2
    assert "for example" in ended.err


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("daily=10 apples/day", "'apples' is none of credits, requests"),
        ("daily=10 credits/year", "'year' is none of second, minute, hour, day, week, month"),
    ],
)
def test_a_word_that_is_not_known_is_named_with_those_that_are(spec: str, words: str) -> None:
    ended = here("account", "create", "acme", "--limit", spec)

    assert ended.code == 2
    assert words in ended.err


def test_limits_are_set_shown_and_taken_away(server: Serving) -> None:
    spec = "daily=25 credits/day, zone=Europe/Berlin"
    created = server.run("account", "create", "limited", "--limit", spec)
    assert created.code == 0, created.err
    assert f"limit         {spec}" in created.out
    server.json("grant", "limited", "100")
    for _ in range(2):
        assert server.run("authorize", "limited", "GET", "/v1/leads").code == 0

    refused = server.run("authorize", "limited", "GET", "/v1/leads")
    assert refused.code == 3
    assert "limit daily of account limited is 25 credits a day, of which 20" in refused.err
    page = server.run("overview", "limited").out
    assert spec in page
    (status,) = server.json("overview", "limited")["limits"]
    assert (status["used"], status["held"], status["remaining"]) == (20, 20, 5)

    changed = server.run("account", "limits", "limited", "--none")
    assert changed.out.startswith("account limited has 0 limits\n")
    assert server.run("authorize", "limited", "GET", "/v1/leads").code == 0


def test_limits_are_shown_as_they_stand_where_none_is_given(server: Serving) -> None:
    specs = ("burst=5 requests/second", "daily=25 credits/day")
    server.json("account", "create", "shown", "--limit", specs[0], "--limit", specs[1])
    server.json("grant", "shown", "100")
    server.json("authorize", "shown", "GET", "/v1/leads")

    page = server.run("account", "limits", "shown")
    answer = server.json("account", "limits", "shown")

    assert page.out.endswith("account shown has 2 limits\n")
    assert re.search(r"burst=5 requests/second .* \d\d:\d\d:\d\d", page.out)
    assert re.search(r"daily=25 credits/day +10 +10 +15 +0 .* \d\d:\d\d\n", page.out)
    assert answer["account_id"] == "shown"
    assert [each["limit"]["name"] for each in answer["limits"]] == ["burst", "daily"]
    assert answer["limits"][1] == server.json("overview", "shown")["limits"][1]


def test_limits_are_not_both_given_and_taken_away(server: Serving) -> None:
    assert server.run("account", "limits", "shown", "--limit", EXAMPLE, "--none").code == 2
    assert server.run("account", "limits", "nobody").code == 1
