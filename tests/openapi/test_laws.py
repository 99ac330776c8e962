"""Laws of annotating, over documents and prices that are drawn: twice is once, and back is back."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from tests.openapi.documents import annotated, price_list, values
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.openapi.annotate import annotate

PATHS = ("/", "/a", "/a/{id}", "/a/{id}/b", "/a/b", "/b/{x}.json", "/c")
PATTERNS = ("/", "/a", "/a/{n}", "/a/b", "/a/**", "/**", "/b/{n}", "/d")
METHODS = ("get", "post")

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
notes = st.sampled_from(["", "Per API call", "ends.", '"x" \\ é 😀', "# no comment", "a: b"])
lines = st.lists(texts, max_size=4).map("\n".join)
operations = st.fixed_dictionaries(
    {}, optional={"summary": texts, "description": lines, "tags": st.just(["a"]), "x-y": texts}
).flatmap(lambda found: st.permutations(list(found.items())).map(dict))
items = st.dictionaries(st.sampled_from(METHODS), operations, min_size=1)
documents = st.dictionaries(st.sampled_from(PATHS), items, max_size=4).map(
    lambda paths: {"openapi": "3.1.0", "paths": paths, "last": "end"}
)
prices = st.dictionaries(
    st.tuples(st.sampled_from(("GET", "POST", "*")), st.sampled_from(PATTERNS)),
    st.tuples(st.integers(0, 2000), notes, st.sampled_from([(), ("2xx", "404")])),
).map(lambda found: tuple(Price(*pattern, *said) for pattern, said in found.items()))


def yaml_of(document: Any, width: int) -> str:
    out: Any = StringIO()
    yaml: Any = YAML(typ="safe", pure=True, plug_ins=[])
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = width
    yaml.sort_base_mapping_type_on_output = False
    yaml.dump(document, out)
    return str(out.getvalue())


def written(document: Any, form: int | str | None) -> str:
    """Write a document as JSON with an indentation, or as YAML of a width where that is over 8."""
    if isinstance(form, int) and form > 8:
        return yaml_of(document, form)
    return json.dumps(document, indent=form)


forms: st.SearchStrategy[int | str | None] = st.sampled_from([None, 2, "\t", 20, 80, 4000])


@given(documents, forms, prices, prices)
def test_twice_is_once_and_the_last_run_counts(
    document: Any, form: int | str | None, first: tuple[Price, ...], last: tuple[Price, ...]
) -> None:
    text = written(document, form)

    once = annotated(text, *last).text
    twice = annotated(once, *last).text
    changed = annotated(annotated(text, *first).text, *last).text

    assert twice == once
    assert described(values(changed)) == described(values(once))


@given(documents, forms, prices)
def test_every_operation_says_what_the_ledger_would_charge(
    document: Any, form: int | str | None, drawn: tuple[Price, ...]
) -> None:
    found = annotate(written(document, form), price_list(*drawn))

    said = values(found.text)
    credited = {str(operation): price for operation, price in found.priced}
    for path, item in document["paths"].items():
        for method, before in item.items():
            after = said["paths"][path][method]
            price = credited.get(f"{method.upper()} {path}")
            assert after.get("x-credits", {"credits": None})["credits"] == (price and price.credits)
            assert ("**Credits:** " in after.get("description", "")) is (price is not None)
            assert after.get("summary") == before.get("summary")
            assert set(after) - {"x-credits", "description"} == set(before) - {"description"}
    missing = {each.price for each in found.missing}
    assert missing == set(drawn) - set(credited.values())


@given(documents, forms, prices)
def test_without_prices_a_document_says_what_it_said(
    document: Any, form: int | str | None, drawn: tuple[Price, ...]
) -> None:
    text = written(document, form)

    back = annotated(annotated(text, *drawn).text).text

    assert annotated(text).text == text
    assert described(values(back)) == described(document)


def described(document: Any) -> Any:
    """An empty description is none."""
    for item in document["paths"].values():
        for operation in item.values():
            if not operation.get("description", "").strip("\n"):
                operation.pop("description", None)
    return document
