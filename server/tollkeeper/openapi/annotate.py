"""Decides what a document must say of credits, writes it, and reports what a person should know.

Run again with the same prices it changes nothing; with other prices it replaces what it wrote; where
a price has gone it takes out what it wrote, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollkeeper.core.pricing.patterns import matches, segments_of
from tollkeeper.core.pricing.price_lists import Price, PriceList
from tollkeeper.openapi.edits import Edit, Entry, apply_edits, edits_of
from tollkeeper.openapi.notice import (
    EXTENSION,
    extension_of,
    notice_of,
    with_notice,
    without_notice,
)
from tollkeeper.openapi.operations import Operation, operations_of, version_fault
from tollkeeper.openapi.reading import parse
from tollkeeper.openapi.tree import Form, Node, NotReadableError, content

if TYPE_CHECKING:
    from collections.abc import Mapping

DESCRIPTION = "description"

_BOM = "\ufeff"


class CannotAnnotateError(ValueError):
    """The document is left as it is; each line of the message is one finding."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A price that no operation of the document has."""

    price: Price
    within: Operation | None
    """The operation whose template stands for requests at this price, among others."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """The document as it should be, and what became of it."""

    text: str
    priced: tuple[tuple[Operation, Price], ...]
    unlisted: tuple[Operation, ...]
    missing: tuple[Missing, ...]
    remarks: tuple[str, ...]


def annotate(
    text: str, prices: PriceList, *, form: Form | None = None, base_path: str | None = None
) -> Annotated:
    """Return a document with the Credits notice of each operation. Raises CannotAnnotateError.

    `form` None or YAML: JSON is read as such, all else as YAML. `base_path` None: the path
    of the first of an operation's servers goes before its own.
    """
    mark = _BOM if text.startswith(_BOM) else ""
    body = text.removeprefix(_BOM)
    form, document = _read(body, form)
    fault = version_fault(document)
    if fault is not None:
        raise CannotAnnotateError(fault)
    described = operations_of(document, prices.prices, base_path)
    priced = [(each, prices.match(each.method, each.request)) for each in described.operations]
    edited = _edited(body, document, form, priced)
    return Annotated(
        mark + edited,
        tuple((each, price) for each, price in priced if price is not None),
        tuple(each for each, price in priced if price is None),
        tuple(_missing(prices, priced)),
        tuple(described.remarks),
    )


def _read(text: str, form: Form | None) -> tuple[Form, Node]:
    if form is not Form.JSON and text.lstrip().startswith("{"):
        try:
            return Form.JSON, parse(text, Form.JSON)
        except NotReadableError:
            pass
    form = form or Form.YAML
    try:
        return form, parse(text, form)
    except NotReadableError as error:
        raise CannotAnnotateError(f"is not {form.value}: {error}") from None


def _edited(
    text: str, document: Node, form: Form, priced: list[tuple[Operation, Price | None]]
) -> str:
    """Write what is wanted, and read it again: it must say that, and nothing else but before."""
    wanted: dict[Node, dict[str, Entry]] = {}
    first: dict[Node, Operation] = {}
    findings: list[str] = []
    for operation, price in priced:
        entries = _wanted(operation.node, price)
        before = wanted.setdefault(operation.node, entries)
        other = first.setdefault(operation.node, operation)
        if before != entries:
            findings.append(f"{operation}: shares its text with {other}, but not its price")
    if findings:
        raise CannotAnnotateError("\n".join(findings))
    changed = {node: entries for node, entries in wanted.items() if entries}
    edits: list[Edit] = []
    for node, entries in changed.items():
        edits.extend(edits_of(text, node, first[node].key, entries, form=form))
    edited = apply_edits(text, edits)
    if edits and not _says(edited, form, document, changed):
        raise CannotAnnotateError(
            "cannot be edited in place; write the operations without anchors, aliases and tags"
        )
    return edited


def _wanted(node: Node, price: Price | None) -> dict[str, Entry]:
    """Return the entries of an operation that are not as they should be."""
    description = node.text(DESCRIPTION)
    own = node.own(DESCRIPTION)
    wanted: dict[str, Entry] = {}
    if price is None:
        bare = without_notice(description)
        if bare != description and own is not None:
            wanted[DESCRIPTION] = Entry(bare or None)
        if node.own(EXTENSION) is not None:
            wanted[EXTENSION] = Entry(None)
        return wanted
    noticed = with_notice(description, notice_of(price))
    if noticed != description:
        wanted[DESCRIPTION] = Entry(noticed)
    extension = extension_of(price)
    present = node.get(EXTENSION)
    if present is None or content(present, {}) != content(_value(extension), {}):
        wanted[EXTENSION] = Entry(extension, is_json=True)
    return wanted


def _says(text: str, form: Form, before: Node, changed: Mapping[Node, Mapping[str, Entry]]) -> bool:
    try:
        after = parse(text, form)
    except NotReadableError:
        return False
    values = {
        node: {
            name: None
            if entry.value is None
            else _value(entry.value if entry.is_json else json.dumps(entry.value))
            for name, entry in entries.items()
        }
        for node, entries in changed.items()
    }
    return content(after, {}) == content(before, values)


def _value(source: str) -> Node:
    return parse(source, Form.JSON)


def _missing(prices: PriceList, priced: list[tuple[Operation, Price | None]]) -> list[Missing]:
    there = {id(price) for _, price in priced if price is not None}
    return [
        Missing(price, next((each for each, _ in priced if _is_within(price, each)), None))
        for price in prices.prices
        if id(price) not in there
    ]


def _is_within(price: Price, operation: Operation) -> bool:
    return operation.method == price.method and matches(
        segments_of(operation.template), price.segments
    )
