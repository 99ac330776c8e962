"""A price list of 5,000 endpoints, from a file to the prices of requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.thorough import thorough

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.processes import Serving

COUNT = 5_000
WITHIN_S = 5.0
FORMS = [
    "/v1/resource-{}",
    "/v1/{{tenant}}/resource-{}",
    "/v1/resource-{}/{{id}}",
    "/v2/files-{}/**",
]


@pytest.fixture(scope="module")
def many(server: Serving, tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """The server, where accounts on the list `many` pay for 5,000 endpoints; each at credits of its own."""
    file = tmp_path_factory.mktemp("many") / "many.csv"
    rows = [f"GET,{FORMS[number % 4].format(number)},{number + 1}" for number in range(COUNT)]
    file.write_text("\n".join(["method,path,credits", *rows, ""]), encoding="utf-8")
    begun_s = time.monotonic()
    ended = server.run("prices", "publish", str(file), "--name", "many", "--json")
    taken_s = time.monotonic() - begun_s
    assert ended.code == 0, ended.err
    assert taken_s < WITHIN_S
    server.json("account", "create", "acme", "--price-list", "many")
    return server


@thorough
@pytest.mark.parametrize(
    ("path", "credits"),
    [
        ("/v1/resource-0", 1),
        ("/v1/acme/resource-1", 2),
        ("/v1/resource-2/x", 3),
        ("/v2/files-3/a/b/c", 4),
        ("/v1/resource-4996", 4_997),
        ("/v1/acme/resource-4997", 4_998),
        ("/v1/resource-4998/x", 4_999),
        ("/v2/files-4999", 5_000),
    ],
)
def test_each_of_five_thousand_published_endpoints_has_its_own_price(
    many: Serving, path: str, credits: int
) -> None:
    answer = many.run("authorize", "acme", "GET", path, "--dry-run", "--json").json

    assert answer["denial"]["reason"] == "DENIAL_REASON_INSUFFICIENT_CREDITS"
    assert int(answer["denial"]["credits"]) == credits


@thorough
def test_of_many_prices_a_person_is_told_the_first_and_what_changes(
    many: Serving, tmp_path: Path
) -> None:
    file = tmp_path / "few.csv"
    rows = [f"GET,{FORMS[number % 4].format(number)},{number + 2}" for number in range(COUNT)]
    file.write_text("\n".join(["method,path,credits", *rows, ""]), encoding="utf-8")

    first = many.run("prices", "publish", str(file), "--name", "person")
    again = many.run("prices", "publish", str(file), "--name", "many", "--effective", "2090-01-01")

    assert len(first.out.splitlines()) < 30
    assert "and 4,980 more: tollkeeper prices show --version 3\n" in first.out
    assert "~ GET /v1/resource-0: credits 1 -> 2\n" in again.out
    assert "and 4,980 more: tollkeeper prices show --version 4\n" in again.out
    assert "5,000 prices; 0 added, 0 removed, 5,000 changed against version 2, which" in again.out


@thorough
def test_the_overview_of_an_account_with_many_prices_is_a_page(many: Serving) -> None:
    page = many.run("overview", "acme").out

    assert len(page.splitlines()) < 80
    assert "and 4,980 more: tollkeeper prices show --account acme\n" in page


def test_five_thousand_prices_are_shown_as_they_were_published(many: Serving) -> None:
    shown = many.json("prices", "show", "--name", "many")["prices"]

    assert [int(each["credits"]) for each in shown] == list(range(1, COUNT + 1))
