"""Price lists by name on the command line: published, compared, shown, and given to accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import serving, tollkeeper
from tests.openapi.documents import values
from tests.support.thorough import thorough

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.processes import Serving

TOML = """\
name = "partner"
unlisted = "denied"
note = "by contract"

[[price]]
method = "GET"
path = "/v1/leads"
credits = 4
"""
DOCUMENT = """\
openapi: 3.0.3
info: {title: Leads, version: '1'}
paths:
  /v1/leads:
    get:
      summary: All leads
      responses: {}
"""


@pytest.fixture(scope="module")
def partner(server: Serving, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list `partner`, published from a file that says its name."""
    file = tmp_path_factory.mktemp("partner") / "partner.toml"
    file.write_text(TOML, encoding="utf-8")
    ended = server.run("prices", "publish", str(file))
    assert ended.code == 0, ended.err
    assert " of partner holds from " in ended.out
    return file


def test_a_list_is_published_under_the_name_in_its_file_or_another(
    server: Serving, partner: Path
) -> None:
    answer = server.json("prices", "publish", str(partner), "--name", "gold")

    assert answer["prices"]["name"] == "gold"
    shown = server.run("prices", "show", "--name", "gold").out
    assert f"price list gold version {answer['prices']['version']}, in force: from " in shown
    assert "all other endpoints are denied" in shown
    # The default list is what it was.
    assert server.json("prices", "show")["prices"][0]["path"] == "/v1/ip-lookup"
    missing = server.run("prices", "show", "--name", "nobody")
    assert missing.code == 1
    assert missing.err == (
        "no price list nobody is in force; "
        "publish one with: tollkeeper prices publish FILE --name nobody\n"
    )
    then = server.run("prices", "show", "--name", "partner", "--at", "2020-01-01")
    assert then.err == "no price list partner holds at 2020-01-01\n"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_exported_keeps_its_name(
    form: str, server: Serving, partner: Path, tmp_path: Path
) -> None:
    file = tmp_path / f"partner.{form}"
    ended = server.run("prices", "show", "--name", "partner", f"--{form}")
    file.write_text(ended.out, encoding="utf-8")

    same = server.run("prices", "diff", str(file))
    published = server.json("prices", "publish", str(file), "--effective", "2095-01-01")

    assert (same.code, same.out.split(" of ")[-1]) == (0, "partner\n")
    assert server.run("prices", "diff", str(partner)).code == 0
    assert published["prices"]["name"] == "partner"
    assert published["prices"]["unlisted"] == "UNLISTED_DENIED"


def test_a_diff_compares_with_the_list_of_its_name(server: Serving, partner: Path) -> None:
    ended = server.run("prices", "diff", str(partner), "--name", "")

    assert ended.code == 1
    assert "~ GET /v1/leads: credits 10 -> 4, note Retrieve lead data -> none" in ended.out
    assert ended.out.endswith(" against version 1\n")
    assert server.run("prices", "diff", str(PRICES)).code == 0


def test_lists_are_listed_with_their_names(server: Serving, partner: Path) -> None:
    assert partner.exists()
    every = server.json("prices", "list")["price_lists"]
    named = server.json("prices", "list", "--name", "partner")["price_lists"]
    default = server.json("prices", "list", "--name", "")["price_lists"]
    shown = server.run("prices", "list").out

    assert {each["name"] for each in named} == {"partner"}
    assert {each["name"] for each in default} == {""}
    assert {each["name"] for each in every} >= {"", "partner"}
    standings = [each["standing"] for each in every if each["name"] == "partner"]
    assert standings.count("in_force") == 1
    assert [each["standing"] for each in default].count("in_force") == 1
    assert "(default)" in shown
    assert " partner " in shown


def test_an_account_is_put_on_a_list_now_later_and_back(server: Serving, partner: Path) -> None:
    assert partner.exists()
    created = server.run("account", "create", "apart", "--price-list", "partner")
    assert created.code == 0, created.err
    assert "price list    partner, since " in created.out
    server.json("grant", "apart", "100")
    assert server.json("authorize", "apart", "GET", "/v1/leads")["reservation"]["credits"] == 4
    assert server.run("authorize", "apart", "GET", "/v1/none").code == 3

    later = server.run("account", "prices", "apart", "--default", "--effective", "2094-01-01")
    assert later.code == 0, later.err
    assert "to come     (default), from 2094-01-01 00:00:00 UTC\n" in later.out
    account = server.json("account", "show", "apart")["account"]
    assert account["price_list"] == "partner"
    assert account["upcoming_price_lists"] == [
        {"price_list": "", "effective_time": "2094-01-01T00:00:00Z"}
    ]
    page = server.run("overview", "apart").out
    assert "(price list partner, version" in page
    assert "Changes to come, from 2094-01-01 00:00 (version 1)" in page

    back = server.run("account", "prices", "apart", "--default")
    assert "price list  (default), since " in back.out
    assert "to come" not in back.out
    assert server.json("authorize", "apart", "GET", "/v1/leads")["reservation"]["credits"] == 10


def test_what_an_account_pays_is_shown_for_any_moment_to_come(
    server: Serving, partner: Path
) -> None:
    assert partner.exists()
    server.json("account", "create", "seen")
    server.json("account", "prices", "seen", "partner", "--effective", "2093-01-01")

    now = server.run("prices", "show", "--account", "seen").out
    then = server.json("prices", "show", "--account", "seen", "--at", "2093-01-01")
    csv = server.run("prices", "show", "--account", "seen", "--at", "2093-01-02", "--csv").out
    before = server.run("prices", "show", "--account", "seen", "--at", "2020-01-01")

    assert now.startswith("account seen pays by price list version 1, from ")
    assert "to come: price list partner version " in now
    assert ", from 2093-01-01 00:00:00 UTC\n" in now
    assert (then["name"], then["effective_time"]) == ("partner", "2093-01-01T00:00:00Z")
    assert csv.endswith("#unlisted,denied\n#note,by contract\n#name,partner\n")
    assert before.code == 1
    assert "account seen pays by the present list from " in before.err


def test_a_list_that_is_not_there_is_refused(server: Serving) -> None:
    server.json("account", "create", "refused")

    ended = server.run("account", "prices", "refused", "nobody")

    assert ended.code == 1
    assert "there is no price list nobody in force" in ended.err


def test_an_api_reference_is_annotated_with_the_list_of_a_name(
    server: Serving, partner: Path, tmp_path: Path
) -> None:
    assert partner.exists()
    file = tmp_path / "openapi.yaml"
    file.write_text(DOCUMENT, encoding="utf-8")

    found = {
        name: server.run("prices", "annotate-openapi", str(file), "--output", "-", *options).out
        for name, options in {"": (), "partner": ("--name", "partner")}.items()
    }

    for name, credits_ in (("", 10), ("partner", 4)):
        operation = values(found[name])["paths"]["/v1/leads"]["get"]
        assert operation["x-credits"]["credits"] == credits_


@thorough
def test_serve_refuses_to_publish_a_named_list(partner: Path, tmp_path: Path) -> None:
    ended = tollkeeper("serve", "--prices", str(partner), folder=tmp_path)

    assert ended.code == 1
    assert ended.err == (
        f"{partner}: name: is partner, but serve publishes the default list; leave it out, "
        "or publish this list with: tollkeeper prices publish\n"
    )


@thorough
def test_serve_publishes_the_default_list_where_only_named_ones_are(
    partner: Path, tmp_path: Path
) -> None:
    with serving(tmp_path) as server:
        server.json("prices", "publish", str(partner))
        server.stop()

    for _ in range(2):
        with serving(tmp_path, "--prices", str(PRICES)) as server:
            lists = server.json("prices", "list")["price_lists"]
            server.stop()
        assert [(each["version"], each["name"]) for each in lists] == [(2, ""), (1, "partner")]
