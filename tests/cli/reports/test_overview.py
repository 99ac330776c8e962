"""The Credit Cost Overview in the terminal, as a person and as a script read it."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, serving, tollkeeper
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tollkeeper.core.usage import DENIED, RELEASED, UsageKind

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving]:
    """A server with an account that was charged, denied and told of new prices."""
    folder = tmp_path_factory.mktemp("overview")
    with serving(folder, "--prices", str(PRICES)) as server:
        server.json("account", "create", "acme")
        server.json("grant", "acme", "25", "--note", "first [25]")
        for _ in range(2):
            held = server.json("authorize", "acme", "GET", "/v1/leads")
            server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
        assert server.run("authorize", "acme", "GET", "/v1/ip-lookup").code == 3
        later = folder / "later.toml"
        later.write_text(
            'note = "dearer leads"\n'
            '[[price]]\nmethod = "GET"\npath = "/v1/leads"\ncredits = 12\n'
            '[[price]]\nmethod = "POST"\npath = "/v1/track"\ncredits = 1\n',
            encoding="utf-8",
        )
        server.json("prices", "publish", str(later), "--effective", "2090-01-01")
        # A denial is counted a moment late.
        assert wait_until(lambda: denials_of(server) == 1, timeout_s=20)
        yield server


def denials_of(server: Serving) -> int:
    return int(server.json("overview", "acme")["total"]["denied"])


def shown(server: Serving, *arguments: str, **environment: str) -> str:
    ended = server.run("overview", "acme", *arguments, **environment)
    assert ended.code == 0, ended.err
    return ended.out


def test_the_page_tells_everything_from_the_balance_to_the_prices_to_come(used: Serving) -> None:
    page = shown(used)

    for line in (
        r"Credit Cost Overview of acme",
        r"available +5 credits",
        r"consumed +20 since the account was opened",
        r"20 credits consumed by 2 requests; 1 denied",
        r"credits by day",
        r"By endpoint",
        r" GET +/v1/leads +2 +20 +0 +0 +0 +0",
        r" GET +/v1/ip-lookup +0 +0 +0 +0 +1 +0",
        r" total +2 +20 +0 +0 +1 +0",
        r"Not charged",
        r" denied +insufficient_credits +1",
        r"Grants, in the order they are consumed",
        r" \w+ +5 +25 +0 +never +first \[25\]",
        r"Credits per request, since [\d: -]+ \(version 1\)",
        r" POST +/v1/track +1 +2xx, 304 +Track a single event",
        r"all other endpoints are free",
        r"Changes to come, from 2090-01-01 00:00 \(version 2\)",
        r" GET +/v1/leads +10 +12",
        r" GET +/v1/leads/export +10 +not listed",
    ):
        assert re.search(rf"^{line} *$", page, re.MULTILINE), line


def test_the_plot_shows_what_was_consumed(used: Serving) -> None:
    page = shown(used)

    assert "█" in page
    assert re.search(r"^20 .*█", page, re.MULTILINE)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_page_keeps_to_the_width_of_the_terminal(width: int, used: Serving) -> None:
    page = shown(used, COLUMNS=str(width))

    assert max(map(len, page.splitlines())) <= width


def test_a_pipe_gets_no_colours(used: Serving) -> None:
    assert "\x1b" not in shown(used)


@thorough
def test_a_terminal_without_unicode_gets_ascii(used: Serving) -> None:
    ended = tollkeeper(
        *("overview", "acme", "--server", used.address),
        environment={"TERM": "dumb", "PYTHONIOENCODING": "ascii"},
    )

    assert ended.code == 0
    assert ended.out.isascii()
    assert "#" in ended.out


@pytest.mark.parametrize(("by", "buckets"), [("hour", range(24, 27)), ("day", range(2, 3))])
def test_the_csv_has_every_bucket_of_the_period(by: str, buckets: range, used: Serving) -> None:
    text = shown(used, "--from", "-24h", "--by", by, "--zone", "Asia/Tokyo", "--csv")

    rows = list(csv.DictReader(text.splitlines()))

    assert len(rows) in buckets
    assert sum(int(row["credits"]) for row in rows) == 20
    assert all(row["start_time"].endswith("+09:00") for row in rows)
    assert list(rows[0]) == [
        "start_time",
        "requests",
        "credits",
        "released",
        "expired",
        "denied",
        "refunded_credits",
        "free_requests",
        *(kind.name.lower() for kind in UsageKind if kind in RELEASED),
        *(kind.name.lower() for kind in UsageKind if kind in DENIED),
    ]
    assert set(rows[0]) >= PROMISED


PROMISED = {
    *("released_validation_failed", "released_authentication_failed", "released_rate_limited"),
    *("released_blocked", "released_server_error", "released_cancelled", "released_redirected"),
    *("denied_account_blocked", "denied_endpoint_not_listed", "denied_limit_exceeded"),
    "denied_insufficient_credits",
}
"""Columns that spreadsheets read by name: these stay, whatever comes."""


def test_the_json_adds_up(used: Serving) -> None:
    overview = used.json("overview", "acme", "--by", "month")

    assert overview["total"]["credits"] == 20
    assert sum(each["usage"]["credits"] for each in overview["endpoints"]) == 20
    assert sum(each["usage"]["credits"] for each in overview["series"]) == 20
    assert overview["lifetime_credits"] == 20
    assert overview["prices"]["version"] == 1
    assert [each["version"] for each in overview["upcoming_prices"]] == [2]


def test_a_period_without_use_says_so(used: Serving) -> None:
    page = shown(used, "--from", "2020-01-01", "--to", "2020-02-01")

    assert "2020-01-01 00:00 to 2020-02-01 00:00 UTC" in page
    assert "0 credits consumed by 0 requests" in page
