"""What an annotated document says, how it is written, and what is reported or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.openapi.documents import annotated, price_list, values
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.openapi.annotate import CannotAnnotateError, annotate
from tollkeeper.openapi.notice import with_notice, without_notice
from tollkeeper.openapi.tree import Form

HEAD = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\n"
LEADS = Price("GET", "/v1/leads", 10, "Retrieve lead data")
LEAD = Price("GET", "/v1/leads/{id}", 3)
EXPORT = Price("GET", "/v1/leads/export", 7)


def paths(text: str) -> str:
    return f"{HEAD}paths:\n{text}"


def said(text: str, path: str, method: str = "get") -> tuple[object, object]:
    operation = values(text)["paths"][path][method]
    return operation.get("description"), operation.get("x-credits")


def test_an_operation_says_what_it_costs_in_its_description_and_for_programs() -> None:
    text = paths(
        "  /v1/leads:\n"
        "    get:   # the leads\n"
        "      # by date\n"
        "      operationId: leads\n"
        "      description: |\n"
        "        Newest first.\n"
        "\n"
        "        - or not\n"
        "      responses: {}  # none yet\n"
        "  # the end\n"
    )

    assert annotated(text, LEADS).text == paths(
        "  /v1/leads:\n"
        "    get:   # the leads\n"
        '      x-credits: {"credits": 10, "note": "Retrieve lead data"}\n'
        "      # by date\n"
        "      operationId: leads\n"
        "      description: |\n"
        "        Newest first.\n"
        "\n"
        "        - or not\n"
        "\n"
        "        **Credits:** 10 credits per request. Retrieve lead data.\n"
        "      responses: {}  # none yet\n"
        "  # the end\n"
    )


def test_a_charge_rule_and_a_price_of_one_are_put_into_words() -> None:
    text = paths("  /v1/leads:\n    get:\n      summary: s\n      responses: {}\n")

    found = annotated(text, Price("GET", "/v1/leads", 1, "", ("2xx", "404"))).text

    assert said(found, "/v1/leads") == (
        "**Credits:** 1 credit per request. Consumed by responses with status 2xx, 404.",
        {"credits": 1, "charge_on": ["2xx", "404"]},
    )


def test_an_endpoint_listed_at_nothing_says_so() -> None:
    text = paths("  /v1/leads: {get: {}}\n")

    found = annotated(text, Price("GET", "/v1/leads", 0)).text

    assert said(found, "/v1/leads") == (
        "**Credits:** 0 credits per request.",
        {"credits": 0},
    )


@pytest.mark.parametrize(
    "description",
    [
        "plain text",
        "plain over\n        two lines",
        "\n        plain below its key",
        "'it''s quoted'  # with a comment",
        '"double \\u00fc \\"quotes\\""',
        "|\n        lines\n          deeper\n        - list",
        "|-\n        lines\n\n\n        and more",
        "|+\n        kept\n\n",
        ">\n        folded\n        text\n\n        and more\n",
        ">-\n        folded\n          deeper at its end",
        "|2\n          a space first",
        "''",
        "5",
    ],
)
def test_every_way_to_write_a_description_keeps_what_it_says(description: str) -> None:
    text = paths(
        f"  /v1/leads:\n    get:\n      description: {description}\n      responses: {{}}\n"
        "  /v1/other: {get: {}}\n"
    )
    before = str(said(text, "/v1/leads")[0])

    first = annotated(text, LEADS).text
    dearer = annotated(first, LEADS._replace(credits=11)).text
    bare = annotated(dearer).text

    body = before.rstrip("\n")
    notice = "**Credits:** 11 credits per request. Retrieve lead data."
    expected = f"{body}\n\n{notice}{before[len(body) :]}" if body else notice
    assert said(dearer, "/v1/leads")[0] == expected
    assert annotated(first, LEADS).text == first
    assert str(said(bare, "/v1/leads")[0] or "") == before


def test_the_notice_is_told_from_other_words_about_credits() -> None:
    theirs = "**Credits:** to the authors.\n\nmore"

    assert without_notice(theirs) == theirs
    assert without_notice(with_notice(theirs, "**Credits:** 1 credit per request.")) == theirs


@pytest.mark.parametrize("indent", [2, 3, "\t", None])
def test_json_keeps_its_indentation(indent: int | str | None) -> None:
    operation: dict[str, Any] = {"summary": "s", "description": "d", "responses": {}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "paths": {"/v1/leads": {"get": operation, "put": {"tags": []}}},
    }
    text = json.dumps(document, indent=indent)

    found = annotated(text, LEADS, Price("PUT", "/v1/leads", 2)).text

    assert found == json.dumps(json.loads(found), indent=indent)
    assert list(json.loads(found)["paths"]["/v1/leads"]["get"]) == [
        "summary",
        "x-credits",
        "description",
        "responses",
    ]
    assert annotated(found).text == text


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_json_on_one_line_stays_on_one_line(separators: tuple[str, str]) -> None:
    document = {"openapi": "3.1.0", "n": 1e400, "paths": {"/v1/leads": {"get": {"x": 1.50}}}}
    text = json.dumps(document, separators=separators).replace("1.5", "1.50")

    found = annotated(text, LEADS).text

    assert "\n" not in found.replace("\\n", "")
    assert said(found, "/v1/leads")[1] == {"credits": 10, "note": "Retrieve lead data"}
    assert annotated(found).text == text


def test_line_ends_and_the_mark_at_the_beginning_are_kept() -> None:
    text = "\ufeff" + paths("  /v1/leads:\n    get:\n      description: a\n").replace("\n", "\r\n")

    found = annotated(text, LEADS).text

    assert found.startswith("\ufeffopenapi")
    assert found.count("\n") == found.count("\r\n")
    assert said(found, "/v1/leads")[0] == (
        "a\n\n**Credits:** 10 credits per request. Retrieve lead data."
    )
    assert annotated(found).text == text


def test_paths_are_matched_as_the_ledger_matches_requests() -> None:
    text = paths(
        "".join(f"  {path}: {{get: {{}}}}\n" for path in ("/v1/leads/{id}", "/v1/leads/export"))
    )

    found = annotated(text, LEAD, EXPORT, Price("*", "/v1/**", 1))

    assert [(str(operation), price.credits) for operation, price in found.priced] == [
        ("GET /v1/leads/{id}", 3),
        ("GET /v1/leads/export", 7),
    ]
    assert [missing.price.path for missing in found.missing] == ["/v1/**"]


@pytest.mark.parametrize(
    ("template", "credits"),
    [
        ("/v1/leads/{lead_id}/", 3),
        ("/v1/leads/{id}.json", 3),
        ("/v1//leads/any", 3),
        ("/v1/leads/{id}/notes", None),
        ("/v1/Leads/{id}", None),
    ],
)
def test_a_template_costs_what_requests_to_it_cost(template: str, credits: int | None) -> None:
    text = paths(f'  "{template}": {{get: {{}}}}\n')

    found = annotated(text, LEAD)

    assert [price.credits for _, price in found.priced] == ([] if credits is None else [credits])


def test_a_price_within_a_template_is_missing_and_said_to_be_within_it() -> None:
    found = annotated(paths("  /v1/leads/{id}: {get: {}}\n"), LEAD, EXPORT, LEADS)

    assert [
        (missing.price.path, missing.within and str(missing.within)) for missing in found.missing
    ] == [("/v1/leads/export", "GET /v1/leads/{id}"), ("/v1/leads", None)]


@pytest.mark.parametrize(
    ("servers", "path"),
    [
        ("[]", "/leads"),
        ("[{url: /}]", "/leads"),
        ("[{url: https://api.example.com}]", "/leads"),
        ("[{url: https://api.example.com/v1/}]", "/v1/leads"),
        ("[{url: /v1}]", "/v1/leads"),
        ("[{url: 'https://{host}/v1'}]", "/v1/leads"),
        ("[{url: '{scheme}://h/{v}', variables: {v: {default: v1}}}]", "/v1/leads"),
        ("[{url: 'https://h/{tenant}'}]", "/{tenant}/leads"),
    ],
)
def test_the_path_of_the_server_goes_before_the_paths(servers: str, path: str) -> None:
    found = annotated(f"{paths('  /leads: {get: {}}')}\nservers: {servers}\n", LEADS)

    assert [str(each) for each in found.unlisted] + [str(each) for each, _ in found.priced] == [
        f"GET {path}"
    ]


def test_the_nearest_servers_count_and_the_base_path_given_goes_before_all() -> None:
    text = paths(
        "  /leads:\n    servers: [{url: /v1}, {url: /v2}]\n    get: {}\nservers: [{url: /v0}]\n"
    )

    nearest = annotated(text, LEADS)
    given = annotated(text, LEADS, base_path="/v3")

    assert [str(each) for each, _ in nearest.priced] == ["GET /v1/leads"]
    assert [remark.partition(";")[0] for remark in nearest.remarks] == [
        "the servers have several base paths (/v1, /v2)"
    ]
    assert [str(each) for each in given.unlisted] == ["GET /v3/leads"]
    assert given.remarks == ()


def test_an_operation_that_two_paths_share_is_written_once() -> None:
    text = paths("  /v1/leads: &leads\n    get:\n      tags: []\n  /v1/lead: *leads\n")
    both = (LEADS, LEADS._replace(path="/v1/lead"))

    found = annotated(text, *both).text

    assert found.count("x-credits") == 1
    assert annotated(found).text == text
    with pytest.raises(CannotAnnotateError) as refused:
        annotated(text, LEADS)
    assert str(refused.value) == (
        "GET /v1/lead: shares its text with GET /v1/leads, but not its price"
    )


def test_a_path_item_elsewhere_in_the_document_is_found() -> None:
    text = paths(
        "  /v1/leads: {$ref: '#/components/pathItems/leads~1x'}\n"
        "  /v1/away: {$ref: 'other.yaml'}\n"
        "components: {pathItems: {leads/x: {get: {}}}}\n"
    )

    found = annotated(text, LEADS)

    assert values(found.text)["components"]["pathItems"]["leads/x"]["get"]["x-credits"]
    assert found.remarks == ("/v1/away: is a $ref to another file; annotate that one",)


def test_what_is_merged_in_is_overridden_and_not_changed() -> None:
    text = paths("  /v1/leads:\n    get:\n      <<: *base\n      tags: []\n").replace(
        "paths", "x-base: &base {description: shared}\npaths"
    )

    found = annotated(text, LEADS).text

    assert str(said(found, "/v1/leads")[0]).startswith("shared\n\n**Credits:** 10")
    assert values(found)["x-base"] == {"description": "shared"}
    assert annotated(found, LEADS).text == found


def test_callbacks_and_webhooks_are_no_endpoints() -> None:
    text = paths(
        "  /v1/other:\n    get:\n      callbacks: {c: {/v1/leads: {get: {}}}}\n"
        "webhooks: {/v1/leads: {get: {}}}\n"
    )

    assert annotated(text, LEADS).text == text


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "is not YAML: is empty"),
        ("openapi: [", "is not YAML: line 1: "),
        ("a: 1\nb: 2\na: 3", 'is not YAML: line 3: the key "a" is there twice'),
        ("- 1", "openapi: is missing; must be 3.0 or 3.1"),
        ("swagger: '2.0'", "swagger: is a document of version 2; convert it"),
        ("openapi: 3.2.0", "openapi: is 3.2.0; must be 3.0 or 3.1"),
        (
            "openapi: 3.0.0\npaths: {/v1/leads: {get: {description: &d a}}}\nx: *d",
            "cannot be edited",
        ),
    ],
)
def test_a_document_that_cannot_be_annotated_is_refused(text: str, finding: str) -> None:
    with pytest.raises(CannotAnnotateError) as refused:
        annotated(text, LEADS)

    assert str(refused.value).startswith(finding)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("{", "line 1: a key in double quotes was expected"),
        ('{"a": 1,\n"a": 2}', 'line 2: the key "a" is there twice'),
        ('{"a": [1 2]}', "line 1: a comma or ] was expected"),
        ('{"a" 1}', "line 1: a colon was expected"),
        ('{"a": x}', "line 1: a value was expected"),
        ('{"a": "\n"}', "line 1: invalid control character at"),
        ("{} {}", "line 1: nothing more was expected"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_broken_json_is_named_by_its_line(text: str, finding: str) -> None:
    with pytest.raises(CannotAnnotateError) as refused:
        annotate(text, price_list(LEADS), form=Form.JSON)

    assert str(refused.value) == f"is not JSON: {finding}"


def test_a_verb_behind_a_template_has_its_own_price_and_head_has_that_of_get() -> None:
    text = paths(
        "  /v1/models/{model}:run:\n    post: {summary: a}\n"
        "  /v1/models/{model}:stop:\n    post: {summary: b}\n"
        "  /v1/models/{model}:\n    post: {summary: c}\n"
        "  /v1/leads:\n    head: {summary: d}\n"
    )
    run = Price("POST", "/v1/models/{m}:run", 30)
    count = Price("POST", "/v1/models/{m}:count", 1)

    found = annotated(text, run, count, LEADS)

    assert [(str(operation), price.credits) for operation, price in found.priced] == [
        ("POST /v1/models/{model}:run", 30),
        ("HEAD /v1/leads", 10),
    ]
    assert [str(operation) for operation in found.unlisted] == [
        "POST /v1/models/{model}:stop",
        "POST /v1/models/{model}",
    ]
    assert [(each.price, str(each.within)) for each in found.missing] == [
        (count, "POST /v1/models/{model}")
    ]
