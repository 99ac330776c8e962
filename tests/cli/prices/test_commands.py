"""The commands of `tollkeeper prices`, against a server: lists to come, export, diff, API reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import here
from tests.openapi.documents import values
from tests.support.thorough import thorough

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.processes import Ended, Serving

TABLE = """\
| Endpoint | Method | Credits per request | Charged on | Notes |
| --- | --- | --- | --- | --- |
| `/v1/ip-lookup` | GET | 10 credits | 2xx, 304, 404 | Per API call |
| `/v1/domain-lookup` | GET | 10 credits | 2xx, 304, 404 | Per API call |
| `/v1/track` | POST | 1 credit | 2xx, 304 | Track a single event |
| `/v1/leads` | GET | 10 credits | 2xx, 304 | Retrieve lead data |
| `/v1/leads/export` | GET | 10 credits | 2xx, 304 | Retrieve lead data in CSV |

All other endpoints DO NOT consume credits
"""
DOCUMENT = """\
openapi: 3.0.3
info: {title: Leads, version: '1'}
servers:
  - url: https://api.example.com/v1
paths:
  /leads:
    get:
      summary: All leads
      responses: {}
  /health:
    get: {responses: {}}
"""


@pytest.fixture(scope="module")
def later(server: Serving, tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """The server with two more lists: one to come, and one that a later version replaced."""
    file = tmp_path_factory.mktemp("later") / "later.csv"
    for amount in (11, 12):
        file.write_text(
            f"method,path,credits,charge_on\nGET,/v1/leads,{amount},2xx\n*,/v1/f|s/**,1,\n"
            "#unlisted,denied\n#note,dearer\n",
            encoding="utf-8",
        )
        ended = server.run("prices", "publish", str(file), "--effective", "2090-01-01")
        assert ended.code == 0, ended.err
    return server


def exported(server: Serving, folder: Path, form: str, *more: str) -> Path:
    file = folder / f"export.{form}"
    ended = server.run("prices", "show", f"--{form}", *more)
    assert ended.code == 0, ended.err
    file.write_text(ended.out, encoding="utf-8")
    return file


def diff(server: Serving, file: Path, *more: str) -> Ended:
    return server.run("prices", "diff", str(file), *more)


def test_each_list_says_how_it_stands(later: Serving) -> None:
    listed = later.json("prices", "list")["price_lists"]
    shown = later.run("prices", "list").out

    assert [(each["version"], each["standing"]) for each in listed][-3:] == [
        (3, "to_come"),
        (2, "replaced"),
        (1, "in_force"),
    ]
    for row in (r"3 +to come +2090-01-01", r"2 +replaced +2090-01-01", r"1 +in force +20"):
        assert re.search(rf"^ +{row}", shown, re.MULTILINE)


def test_the_list_in_force_says_until_when_and_what_comes(later: Serving) -> None:
    now = later.run("prices", "show").out
    replaced = later.run("prices", "show", "--version", "2").out
    coming = later.run("prices", "show", "--version", "3").out

    assert now.startswith("price list version 1, in force: from ")
    assert " to 2090-01-01 00:00:00 UTC: Credit costs" in " ".join(now.split())
    assert "to come: version 3, from 2090-01-01 00:00:00 UTC\n" in now
    assert "version 2, replaced: was to hold from 2090-01-01 00:00:00 UTC: dearer" in replaced
    assert "version 3, to come: from 2090-01-01 00:00:00 UTC: dearer" in coming
    assert "all other endpoints are denied" in coming


def test_the_list_of_a_moment_is_shown(later: Serving) -> None:
    def version(*options: str) -> int:
        return int(later.json("prices", "show", "--at", *options)["version"])

    assert version("now") == 1
    assert version("2090-01-01", "--zone", "Europe/Berlin") == 1
    assert version("2090-01-01", "--zone", "UTC") == 3
    ended = later.run("prices", "show", "--at", "2020-01-01")
    assert ended.code == 1
    assert ended.err == "no price list holds at 2020-01-01, so every endpoint is free then\n"


def test_markdown_has_the_form_of_the_public_page(later: Serving) -> None:
    assert later.run("prices", "show", "--markdown").out == TABLE
    assert later.run("prices", "show", "--markdown", "--version", "3").out == (
        "| Endpoint | Method | Credits per request | Charged on | Notes |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `/v1/leads` | GET | 12 credits | 2xx | |\n"
        "| `/v1/f\\|s/**` | any | 1 credit | 2xx, 304 | |\n"
        "\nAll other endpoints are not available\n"
    )


@thorough
@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_exported_can_be_published_and_differs_in_nothing(
    form: str, later: Serving, tmp_path: Path
) -> None:
    now = exported(later, tmp_path, form)
    same = diff(later, now)
    coming = exported(later, tmp_path, form, "--version", "3")
    published = later.json("prices", "publish", str(coming), "--effective", "2091-01-01")

    assert (same.code, same.out) == (0, "nothing differs from version 1\n")
    assert diff(later, PRICES).code == 0
    assert (
        published["prices"]["prices"] == (later.json("prices", "show", "--version", "3")["prices"])
    )
    assert diff(later, coming, "--version", str(published["prices"]["version"])).code == 0


def test_a_diff_names_everything_that_would_change(later: Serving, tmp_path: Path) -> None:
    file = tmp_path / "next.csv"
    file.write_text(
        "method,path,credits,note,charge_on\n"
        "GET,/v1/leads/export,10,Retrieve lead data in CSV,304 2xx\n"
        "GET,/v1/leads,12,,2xx\n"
        "POST,/v1/track,1,Track a single event,\n"
        "GET,/v1/ip-lookup/,10,Per API call,404 2xx 304\n"
        "GET,/v1/new/{id},1500,New,404\n"
        "#unlisted,denied\n",
        encoding="utf-8",
    )

    person = diff(later, file)
    script = diff(later, file, "--json")

    assert person.code == script.code == 1
    assert person.out.splitlines() == [
        "+ GET /v1/new/{id}: 1,500 credits, charged on 404 (New)",
        "- GET /v1/domain-lookup: 10 credits, charged on 2xx, 304, 404 (Per API call)",
        "~ GET /v1/leads: credits 10 -> 12, charged on 2xx, 304 -> 2xx, note Retrieve lead data -> none",
        "~ all other endpoints: free -> denied",
        "~ note of the list: Credit costs per endpoint -> none",
        "1 added, 1 removed, 3 changed against version 1",
    ]
    found = script.json
    assert found["differs"] is True
    assert [each["path"] for each in found["added"]] == ["/v1/new/{id}"]
    assert [each["path"] for each in found["removed"]] == ["/v1/domain-lookup"]
    assert [(each["before"]["credits"], each["after"]["credits"]) for each in found["changed"]] == [
        (10, 12)
    ]
    assert found["unlisted"] == {"before": "free", "after": "denied"}


def test_a_bad_file_is_neither_published_nor_compared(later: Serving, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("method,path,credits\nGET,/a,x\nGET,/b,y\n", encoding="utf-8")
    before = len(later.json("prices", "list")["price_lists"])

    for command in ("publish", "diff"):
        ended = later.run("prices", command, str(file))
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            f"{file}: line 2 (GET /a): credits: must be a whole number\n"
            f"{file}: line 3 (GET /b): credits: must be a whole number\n"
        )
    assert len(later.json("prices", "list")["price_lists"]) == before


def test_an_api_reference_is_brought_up_to_date(later: Serving, tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(DOCUMENT, encoding="utf-8")

    def run(*options: str) -> Ended:
        return later.run("prices", "annotate-openapi", str(file), *options)

    stale = run("--check")
    unchanged = file.read_text(encoding="utf-8")
    first = run()
    annotated = file.read_text(encoding="utf-8")
    checked = run("--check")
    second = run()

    assert (stale.code, checked.code, first.code, second.code) == (1, 0, 0, 0)
    assert stale.err.endswith("is not up to date; run the command again without --check\n")
    assert unchanged == DOCUMENT
    assert values(annotated)["paths"]["/leads"]["get"]["x-credits"]["credits"] == 10
    assert file.read_text(encoding="utf-8") == annotated
    assert first.out == ""
    report = (
        f"{file}: 1 operation with a price\n"
        "4 priced endpoints not in the document:\n"
        "  GET /v1/ip-lookup: 10 credits\n"
        "  GET /v1/domain-lookup: 10 credits\n"
        "  POST /v1/track: 1 credit\n"
        "  GET /v1/leads/export: 10 credits\n"
        "1 operation without a price, so free:\n"
        "  GET /v1/health\n"
    )
    assert first.err == f"{report}{file}: is brought up to date\n"
    assert second.err == checked.err == f"{report}{file}: is up to date\n"


def test_a_script_is_told_what_an_api_reference_lacks(later: Serving, tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(DOCUMENT, encoding="utf-8")

    stale = later.run("prices", "annotate-openapi", str(file), "--check", "--json")
    done = later.run("prices", "annotate-openapi", str(file), "--json")
    both = later.run("prices", "annotate-openapi", str(file), "--json", "--output", "-")

    assert (stale.code, stale.error["reason"]) == (1, "FINDINGS")
    assert (done.code, done.err) == (0, "")
    assert stale.json == done.json
    assert stale.json["current"] is False
    assert stale.json["priced"] == [{"method": "GET", "path": "/v1/leads", "credits": 10}]
    assert stale.json["unlisted"] == [{"method": "GET", "path": "/v1/health"}]
    assert stale.json["unlisted_are"] == "free"
    assert [each["path"] for each in stale.json["missing"]] == [
        "/v1/ip-lookup",
        "/v1/domain-lookup",
        "/v1/track",
        "/v1/leads/export",
    ]
    assert later.json("prices", "annotate-openapi", str(file))["current"] is True
    assert both.code == 2


def test_an_api_reference_is_written_elsewhere_with_prices_of_a_file(tmp_path: Path) -> None:
    file, other = tmp_path / "openapi.yaml", tmp_path / "public.yaml"
    file.write_text(DOCUMENT, encoding="utf-8")
    line = ("prices", "annotate-openapi", str(file), "--prices", str(PRICES))

    to_file = here(*line, "--output", str(other))
    to_stdout = here(*line, "--output", "-")
    elsewhere = here(*line, "--output", "-", "--base-path", "/")

    assert (to_file.code, to_stdout.code) == (0, 0)
    assert to_stdout.out == other.read_text(encoding="utf-8") != DOCUMENT
    assert elsewhere.out == file.read_text(encoding="utf-8") == DOCUMENT


@pytest.mark.parametrize(
    ("name", "content", "finding"),
    [
        ("none.yaml", None, "cannot be read: no such file or directory"),
        (
            "bytes.yaml",
            b"a: b\n\xff",
            (
                "is not UTF-8: line 2 has the byte 0xFF; perhaps it is Latin-1 or Windows-1252, as some"
                " spreadsheets write it; save it as UTF-8"
            ),
        ),
        ("a.json", b"openapi: 3.0.0", "is not JSON: line 1: a value was expected"),
        ("a.yaml", b"openapi: 2", "openapi: is 2; must be 3.0 or 3.1"),
    ],
)
def test_what_is_no_api_reference_is_named(
    name: str, content: bytes | None, finding: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)

    ended = here("prices", "annotate-openapi", str(file), "--prices", str(PRICES))

    assert (ended.code, ended.out, ended.err) == (1, "", f"{file}: {finding}\n")


def test_who_publishes_is_told_what_changes_and_what_comes_after(
    later: Serving, tmp_path: Path
) -> None:
    file = tmp_path / "told.csv"
    file.write_text("method,path,credits\nGET,/a,1\nGET,/b,2\n#name,told\n", encoding="utf-8")
    first = later.run("prices", "publish", str(file))
    later.json("prices", "publish", str(file), "--effective", "2091-01-01")
    file.write_text(
        "method,path,credits\nGET,/a,3\nGET,/c,2\n#name,told\n#unlisted,denied\n", encoding="utf-8"
    )
    second = later.run("prices", "publish", str(file), "--effective", "2090-01-01")
    third = later.run("prices", "publish", str(file), "--effective", "2090-01-01")

    versions = [int(re.findall(r"version (\d+)", each.out)[0]) for each in (first, second, third)]
    assert re.search(r"GET +/a +1", first.out)
    assert "all other endpoints are free\n" in first.out
    assert second.out.splitlines()[1:-1] == [
        "+ GET /c: 2 credits",
        "- GET /b: 2 credits",
        "~ GET /a: credits 1 -> 3",
        "~ all other endpoints: free -> denied",
        f"2 prices; 1 added, 1 removed, 2 changed against version {versions[0]}, which it follows",
        f"to come: version {versions[0] + 1}, from 2091-01-01 00:00:00 UTC",
    ]
    assert third.out.splitlines()[1:-1] == [
        f"2 prices; nothing differs from version {versions[1]}, which it follows",
        f"it replaces version {versions[1]}, which was to hold from the same moment",
        f"to come: version {versions[0] + 1}, from 2091-01-01 00:00:00 UTC",
    ]


def test_a_list_without_prices_is_published_only_where_that_is_said(
    server: Serving, tmp_path: Path
) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("method,path,credits\n#unlisted,denied\n#name,empty\n", encoding="utf-8")

    refused = server.run("prices", "publish", str(file))
    published = server.run("prices", "publish", str(file), "--allow-empty")

    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        f"{file}: has no prices, so every endpoint would be denied; add --allow-empty if that is meant\n"
    )
    assert published.code == 0, published.err
    assert "all other endpoints are denied" in published.out
