"""What accounts consumed, one by one and together, as a person and as a script read it."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Generator

USED = {"team/a": 3, "team/b": 1, "other": 2}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving]:
    """A server on which three accounts consumed something, and one did not."""
    folder = tmp_path_factory.mktemp("consumption")
    with serving(folder, "--prices", str(PRICES)) as server:
        server.json("account", "create", "idle")
        for name, times in USED.items():
            server.json("account", "create", name)
            server.json("grant", name, "100")
            for _ in range(times):
                held = server.json("authorize", name, "GET", "/v1/leads")
                server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
        yield server


def test_accounts_are_listed_with_the_most_credits_first(used: Serving) -> None:
    page = used.run("consumption").out

    found = re.findall(r"^ (\S+) +(\d+) +(\d+) +0 +0 +0 +0 *$", page, re.MULTILINE)
    assert found == [("team/a", "3", "30"), ("other", "2", "20"), ("team/b", "1", "10")]
    assert page.endswith("3 accounts with usage\n")


def test_the_top_is_as_long_as_asked(used: Serving) -> None:
    page = used.run("consumption", "--top", "1").out

    assert "team/a" in page
    assert "other" not in page
    assert page.endswith("1 account with usage; there are more, ask with --top\n")


def test_the_accounts_of_a_prefix_are_listed(used: Serving) -> None:
    answer = used.json("consumption", "--prefix", "team/")

    assert list(answer) == ["accounts", "start_time", "end_time", "as_of"]
    credits = [(each["account_id"], each["usage"]["credits"]) for each in answer["accounts"]]
    assert credits == [("team/a", 30), ("team/b", 10)]


def test_a_spreadsheet_gets_every_figure(used: Serving) -> None:
    lines = used.run("consumption", "--from", "-1d", "--csv").out.splitlines()

    rows = list(csv.DictReader(lines))
    assert lines[0].startswith(
        "account_id,requests,credits,released,expired,denied,refunded_credits,free_requests,released_validation_failed,"
    )
    assert (rows[0]["account_id"], rows[0]["credits"]) == ("team/a", "30")


def test_a_period_without_usage_is_empty(used: Serving) -> None:
    period = ("--from", "2020-01-01", "--to", "2020-02-01", "--zone", "Europe/Berlin")

    listed, together = used.run("consumption", *period), used.run("totals", *period)

    assert (
        listed.out == "2020-01-01 00:00 to 2020-02-01 00:00 Europe/Berlin\n0 accounts with usage\n"
    )
    assert together.out == (
        "All accounts, 2020-01-01 00:00 to 2020-02-01 00:00 Europe/Berlin\n"
        "0 credits consumed by 0 requests\n"
    )


def test_the_totals_are_shown_with_a_plot_and_by_endpoint(used: Serving) -> None:
    page = used.run("totals", "--zone", "Europe/Berlin").out

    assert page.startswith("All accounts, ")
    assert "60 credits consumed by 6 requests\n" in page
    assert "credits by day" in page
    assert "█" in page
    assert re.search(r"^ GET +/v1/leads +6 +60 +0 +0 +0 +0 *$", page, re.MULTILINE)


def test_the_totals_of_a_script_are_the_sum_of_the_overviews(used: Serving) -> None:
    zone = ("--by", "hour", "--zone", "Asia/Kolkata")
    own = [used.json("overview", name, *zone) for name in (*USED, "idle")]

    answer = used.json("totals", *zone)

    assert answer["total"]["credits"] == sum(each["total"]["credits"] for each in own) == 60
    for index, bucket in enumerate(answer["series"]):
        credits = sum(each["series"][index]["usage"]["credits"] for each in own)
        assert bucket["usage"]["credits"] == credits
    series = answer["endpoints"][0]["series"]
    assert sum(bucket["usage"]["credits"] for bucket in series) == 60


def test_the_totals_of_a_spreadsheet_are_by_step_and_endpoint(used: Serving) -> None:
    lines = used.run("totals", "--from", "-2d", "--by", "hour", "--csv").out.splitlines()

    rows = list(csv.DictReader(lines))
    assert lines[0].startswith("start_time,method,path,requests,credits,")
    assert sum(int(row["credits"]) for row in rows) == 60
    assert {(row["method"], row["path"]) for row in rows} == {("GET", "/v1/leads")}
    assert [row["start_time"] for row in rows] == sorted(row["start_time"] for row in rows)
