"""Alert rules and events on the command line: as they are written, set, shown, listed and followed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import environment_of, here, serving
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.cli.accounts.alert_spec import EXAMPLE, describe_alert, parse_alerts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.processes import Serving


@pytest.mark.parametrize(
    "spec",
    [
        EXAMPLE,
        "low=remaining 100",
        "a b=remaining 0%/day, zone=Asia/Kolkata",
        "cap=limit-use 80%, limit=daily",
        "x=consumed 10/week",
    ],
)
def test_a_rule_is_written_as_it_is_read(spec: str) -> None:
    (rule,) = parse_alerts([spec])

    assert describe_alert(rule) == spec
    assert parse_alerts([describe_alert(rule)]) == [rule]


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "half",
        "half=consumed much/day",
        "half=spent 10/day",
        "half=consumed 10/hour",
        "half=consumed 10/day, zone=",
        "half=consumed 10/day, endpoint=GET /",
        f"half=consumed {2**63}/day",
    ],
)
def test_what_is_no_rule_is_wrong_usage_and_an_example_is_given(spec: str) -> None:
    ended = here("account", "create", "acme", "--alert", spec)
    assert ended.code == 2
    assert "for example" in ended.err


def test_rules_are_set_shown_and_taken_away_and_their_events_are_listed(server: Serving) -> None:
    spec = "low=remaining 95"
    created = server.run("account", "create", "watched", "--alert", spec)
    assert f"alert         {spec}" in created.out, created.err
    server.json("grant", "watched", "100")
    held = server.json("authorize", "watched", "GET", "/v1/leads")["reservation"]["reservation_id"]
    (status,) = server.json("account", "alerts", "watched")["alerts"]
    assert (status["value"], status["met"]) == (100, False)
    server.json("commit", held, "--status", "200")

    (status,) = server.json("overview", "watched")["alerts"]
    assert (status["rule"]["name"], status["value"], status["met"]) == ("low", 90, True)
    assert spec in server.run("overview", "watched").out
    listed = server.run("events", "--account", "watched")
    assert "watched  low: remaining 90, threshold 95" in listed.out
    assert listed.out.endswith("1 event\n")
    (line,) = server.run("events", "--prefix", "watch", "--json").out.splitlines()
    event = json.loads(line)
    assert (event["rule"], event["value"], event["subject"]) == ("low", 90, "SUBJECT_REMAINING")
    assert server.run("events", "--after", event["cursor"]).out == "0 events\n"
    assert server.run("events", "--after", "nonsense").code == 1

    gone = server.run("account", "alerts", "watched", "--none")
    assert "account watched has 0 alert rules" in gone.out


@thorough
def test_what_is_followed_goes_on_over_a_restart(tmp_path: Path) -> None:
    prices = ("--prices", str(tmp_path / "prices.toml"))
    (tmp_path / "prices.toml").write_text('[[price]]\nmethod = "GET"\npath = "/x"\ncredits = 10\n')
    lines: list[str] = []
    with serving(tmp_path, *prices) as first:
        listen = {"TOLLKEEPER_LISTEN": first.address}
        first.json("account", "create", "a", "--alert", "low=remaining 100")
        first.json("grant", "a", "50")
        command = [sys.executable, "-m", "tollkeeper", "events", "--follow", "--json"]
        follower = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment_of({"TOLLKEEPER_SERVER": first.address}),
        )
        assert follower.stdout is not None
        lines.append(follower.stdout.readline())
        assert first.stop().code == 0
    with serving(tmp_path, *prices, environment=listen) as second:
        second.json("account", "create", "b", "--alert", "low=remaining 100")
        second.json("grant", "b", "50")
        lines.append(follower.stdout.readline())
        follower.kill()
        follower.communicate()
        assert wait_until(lambda: second.run("events").out.endswith("2 events\n"), timeout_s=10)

    assert [json.loads(line)["account_id"] for line in lines] == ["a", "b"]


def test_a_rule_whose_limit_is_gone_says_so(server: Serving) -> None:
    server.json("account", "create", "uncapped", "--limit", "daily=10 credits/day")
    server.json("account", "alerts", "uncapped", "--alert", "cap=limit-use 80%, limit=daily")
    before = server.run("account", "alerts", "uncapped").out
    server.json("account", "limits", "uncapped", "--none")

    after = server.run("account", "alerts", "uncapped").out

    assert "limit=daily  " in before
    assert "cap=limit-use 80%, limit=daily (now gone)" in after
