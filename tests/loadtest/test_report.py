"""The report of a load test: its documented form, its page, and two of them side by side."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from tests.cli.processes import here
from tests.loadtest.runs import loadtest
from tests.repo.documents import section, table, unticked
from tests.repo.tree import ROOT
from tests.support.thorough import thorough
from tollkeeper_loadtest.reporting.charts import Chart, charts_of
from tollkeeper_loadtest.reporting.page import page_of
from tollkeeper_loadtest.reporting.summary import COLUMNS, NAMES, ms, print_summary

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.processes import Serving

pytestmark = thorough

NAMESPACES = re.compile(r' xmlns(?::\w+)?="[^"]*"')
"""What an element belongs to: a name that looks like an address and is never asked for."""


@pytest.fixture(scope="module")
def report(server: Serving, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A report as its file has it, of a run with a search."""
    path = tmp_path_factory.mktemp("report") / "run.json"
    found = ("--server", server.address, "--find-max", "0.1", "--trial", "1.2", "--rate", "4")
    ended = loadtest(*found, "--credits", "30", "--output", str(path))
    assert json.loads(path.read_text()) == ended.json
    return ended.json


def test_every_field_is_documented(report: dict[str, Any]) -> None:
    documented = {
        unticked(row[0])
        for row in table(section((ROOT / "docs/reference/load-test.md").read_text(), "The report"))
    }

    parts = ("run", "load", "find_max", "check")
    fields = {f"{part}.{name}" for part in parts for name in report[part]}
    assert fields | (set(report) - set(parts)) == documented


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_latency_of_the_summary_is_cut(
    width: int,
    report: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    slow = {name: 127_000 + 1_000 * number for number, name in enumerate(COLUMNS)}
    latencies = {kind: {**report["latency_us"][kind], **slow} for kind in NAMES}

    print_summary({**report, "latency_us": latencies})

    page = capsys.readouterr().out
    table_of = page.split("latencies in milliseconds\n")[1].split("\n\n\n")[0]
    figures = [word for word in table_of.split() if re.fullmatch(r"1[23]\d", word)]
    assert sorted(figures) == sorted(ms(each) for each in slow.values() for _ in NAMES)
    assert max(map(len, table_of.split("note:")[0].splitlines())) <= width


def test_the_page_holds_all_that_it_shows(report: dict[str, Any]) -> None:
    page = page_of(report)

    bare = NAMESPACES.sub("", page)
    assert re.findall(r"\b(?:src|href)\s*=|url\(|@import|https?:|<script", bare) == []
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert tags.seen["svg"] == 4
    assert f"Load test {report['run']['id']}" in page
    assert "The ledger agrees" in page


def test_what_a_server_says_is_text_on_the_page(report: dict[str, Any]) -> None:
    odd = {"account": "<b>x</b>", "what": "<script>", "expected": "&", "found": "1"}
    check = {**report["check"], "good": False, "mismatches": [odd], "mismatch_count": 1}

    page = page_of({**report, "check": check})

    assert "<script" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "The ledger does not agree" in page
    assert "1 mismatch." in page


def test_two_runs_are_compared_figure_by_figure(report: dict[str, Any], tmp_path: Path) -> None:
    twice = {**report, "load": {**report["load"], "pairs_per_s": report["load"]["pairs_per_s"] * 2}}
    a, b = saved(tmp_path / "a.json", report), saved(tmp_path / "b.json", twice)

    shown = here("loadtest", "--compare", a, b)
    ended = here("loadtest", "--compare", a, b, "--json")

    assert (shown.code, ended.code) == (0, 0)
    assert re.search(r"pairs a second +[\d.,]+ +[\d.,]+ +2\.00", shown.out)
    figures = {each["figure"]: each["ratio"] for each in ended.json["figures"]}
    assert figures["authorize: p99, ms"] == 1
    assert ended.json["different_settings"] == []


def test_runs_of_different_settings_are_compared_only_where_that_is_wanted(
    report: dict[str, Any], tmp_path: Path
) -> None:
    other = {**report, "settings": {**report["settings"], "accounts": 7}}
    a, b = saved(tmp_path / "a.json", report), saved(tmp_path / "b.json", other)

    refused = here("loadtest", "--compare", a, b)
    wanted = here("loadtest", "--compare", a, b, "--anyway")

    assert refused.code == 1
    assert "accounts: 20 and 7" in refused.err
    assert "--anyway" in refused.err
    assert wanted.code == 0
    assert "different: accounts: 20 and 7" in wanted.out


@pytest.mark.parametrize("text", ["[]", '{"schema": "tollkeeper.loadtest.v0"}'])
def test_what_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)

    ended = here("loadtest", "--compare", str(path), str(path))

    assert ended.code == 1
    assert "is not a report of a load test of this form" in ended.err


def test_without_the_library_the_command_says_how_to_get_it() -> None:
    with mock.patch.dict(sys.modules, {"hdrh": None}):
        ended = loadtest()

    assert ended.code == 1
    assert "pip install 'tollkeeper[loadtest]'" in ended.err


@pytest.mark.parametrize(
    ("high", "labels"),
    [
        (0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (4, ["0", "1", "2", "3", "4"]),
        (10, ["0", "2", "4", "6", "8", "10"]),
        (4_100, ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]),
    ],
)
def test_an_axis_ends_at_a_round_figure(high: int, labels: list[str]) -> None:
    rates, _ = charts_of(one_second(operations=high))

    assert y_labels(rates.svg()) == labels


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (3, 40, ["2", "5", "10", "20", "50"]),
        (10, 10, ["10", "20"]),
        (0.4, 9_000, ["1", "10", "100", "1,000", "10,000"]),
    ],
)
def test_an_axis_of_powers_holds_all_values(low: float, high: float, labels: list[str]) -> None:
    low_us, high_us = int(low * 1000), int(high * 1000)

    _, latencies = charts_of(one_second(p50_us=low_us, p99_us=low_us, max_us=high_us))

    first, last = latencies.specification()["encoding"]["y"]["scale"]["domain"]
    assert first <= low <= high <= last
    assert y_labels(latencies.svg()) == labels


def test_a_chart_shows_what_the_report_says(report: dict[str, Any]) -> None:
    rates, latencies, distribution, trials = charts_of(report)

    whole = report["series"][: int(report["load"]["seconds"] + 0.01)]
    assert points(rates, "pairs") == [(each["second"] + 1, each["pairs"]) for each in whole]
    assert points(latencies, "p99") == [
        (each["second"] + 1, each["p99_us"] / 1000) for each in whole if each["max_us"]
    ]
    authorize = report["latency_us"]["authorize"]
    curve = points(distribution, "Authorize")
    assert curve[-1][1] == pytest.approx(authorize["max"] / 1000, rel=0.002)
    assert sorted(curve) == sorted(curve, key=lambda point: point[1])
    tried = sorted(report["find_max"]["trials"], key=lambda each: each["rate"])
    assert points(trials, "p99 of Authorize") == [
        (each["rate"], each["authorize_p99_us"] / 1000) for each in tried
    ]
    bound = report["find_max"]["p99_ms"]
    assert points(trials, "the bound") == [(0, bound), (tried[-1]["rate"], bound)]


def test_every_line_is_drawn_and_named(report: dict[str, Any]) -> None:
    for chart in charts_of(report):
        drawn = ET.fromstring(chart.svg())  # noqa: S314 - our own

        names = [line.name for line in chart.lines]
        assert texts(drawn, "role-legend-label") == names
        assert sum("mark-line" in each.get("class", "") for each in drawn.iter()) == len(names)


def one_second(**figures: int) -> dict[str, Any]:
    """A report of one second, as far as its charts look at it."""
    nothing = dict.fromkeys(
        ("pairs", "operations", "denied", "errors", "p50_us", "p99_us", "max_us"), 0
    )
    series = [{"second": 0, **nothing, **figures}]
    return {"series": series, "load": {"seconds": 1.0}, "latency_us": {}, "find_max": None}


def points(chart: Chart, name: str) -> list[tuple[float, float]]:
    specification = chart.specification()
    values = specification["datasets"][specification["data"]["name"]]
    return [(each["x"], each["y"]) for each in values if each["name"] == name]


def y_labels(svg: str) -> list[str]:
    drawn = ET.fromstring(svg)  # noqa: S314 - our own
    x_and_y = [
        [text.text or "" for text in group if text.get("opacity") != "0"]
        for group in drawn.iter()
        if "role-axis-label" in group.get("class", "")
    ]
    return x_and_y[1]


def texts(drawn: ET.Element, role: str) -> list[str]:
    return ["".join(group.itertext()) for group in drawn.iter() if role in group.get("class", "")]


class Tags(HTMLParser):
    """Which elements were opened and not closed, and how many there were of each."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def saved(path: Path, report: dict[str, Any]) -> str:
    path.write_text(json.dumps(report))
    return str(path)
