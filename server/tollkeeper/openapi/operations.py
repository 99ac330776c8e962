"""Finds what a document describes: each operation, with the path that the ledger knows it by.

A template stands for the requests that no more literal one describes, as in a price list: `{id}` is
any segment but those that a price or another template spells out. So it is matched as a request
whose segment no price names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tollkeeper.core.pricing.paths import Path, parse
from tollkeeper.core.pricing.patterns import is_placeholder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tollkeeper.core.pricing.price_lists import Price
    from tollkeeper.openapi.tree import Node

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_VERSION = re.compile(r"3\.[01](?:\.|$)")
_VARIABLE = re.compile(r"\{([^/{}]*)\}")
_DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation, as METHOD and the path that requests to it have, braces included."""

    method: str
    template: str
    request: Path
    """A request to it, for matching."""
    node: Node
    key: Node
    """The key that it stands under."""

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(slots=True)
class DocumentOperations:
    """The operations of a document, and what a person should know about it."""

    operations: list[Operation] = field(default_factory=list[Operation])
    remarks: list[str] = field(default_factory=list[str])


def version_fault(document: Node) -> str | None:
    """Say why a document is none that we know."""
    version = document.text("openapi") if document.is_mapping else ""
    if _VERSION.match(version):
        return None
    if version:
        return f"openapi: is {version}; must be 3.0 or 3.1"
    if document.is_mapping and document.text("swagger"):
        return "swagger: is a document of version 2; convert it to OpenAPI 3.0 or 3.1"
    return "openapi: is missing; must be 3.0 or 3.1"


def operations_of(
    document: Node, prices: Iterable[Price], base_path: str | None
) -> DocumentOperations:
    """Find every operation; `base_path` goes before all paths, None for that of their servers."""
    described = DocumentOperations()
    placeholder = _unnamed(prices)
    paths = document.get("paths")
    bases: set[tuple[str, ...]] = set()
    for template, item in paths.pairs() if paths is not None else ():
        if not template.startswith("/"):
            continue
        place = _resolved(item, document)
        if place is None:
            described.remarks.append(f"{template}: is a $ref to another file; annotate that one")
            continue
        for key, operation in _methods(place):
            levels = (operation, place, item, document)
            candidates = _base_paths(levels) if base_path is None else (base_path,)
            bases.add(candidates)
            whole = f"/{'/'.join(filter(None, f'{candidates[0]}/{template}'.split('/')))}"
            try:
                request = parse(_VARIABLE.sub(placeholder, whole))
            except ValueError as error:
                described.remarks.append(
                    f"{key.value.upper()} {whole}: no such request: it {error}"
                )
                continue
            name = key.value.upper()
            described.operations.append(Operation(name, whole, request, operation, key))
    described.remarks.extend(
        f"the servers have several base paths ({', '.join(several)}); the first is used, "
        "--base-path names another"
        for several in sorted(bases)
        if len(several) > 1
    )
    return described


def _methods(item: Node) -> Iterator[tuple[Node, Node]]:
    for name, operation in item.pairs():
        if name in METHODS and operation.is_mapping:
            own = item.own(name)
            yield own if own is not None else (operation, operation)


def _unnamed(prices: Iterable[Price]) -> str:
    """Return a segment that no price names."""
    named = "/".join(
        segment for price in prices for segment in price.segments if not is_placeholder(segment)
    )
    name = "any"
    while name in named:
        name += "-any"
    return name


def _resolved(item: Node, document: Node) -> Node | None:
    """Follow the $ref of a path item within the document; None where it leads out of it."""
    for _ in range(_DEPTH_MAX):
        reference = item.text("$ref")
        if not reference:
            return item
        place: Node | None = document if reference.startswith("#/") else None
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            place = place.get(name) if place is not None else None
        if place is None:
            return None
        item = place
    return None


def _base_paths(levels: tuple[Node, ...]) -> tuple[str, ...]:
    """Return the different base paths of the nearest servers, in their order."""
    for level in levels:
        servers = level.get("servers")
        if servers is not None and servers.items:
            return tuple(dict.fromkeys(map(_base_path, servers.items)))
    return ("/",)


def _base_path(server: Node) -> str:
    """Return the path of a server's URL, its variables at their defaults."""
    variables = server.get("variables")

    def default(match: re.Match[str]) -> str:
        variable = variables.get(match[1]) if variables is not None else None
        value = variable.get("default") if variable is not None else None
        return value.value if value is not None else match[0]

    url = _VARIABLE.sub(default, server.text("url"))
    # A host may be a variable without a default, which no URL can have.
    path = re.sub(r"^[^/]*://[^/?#]*", "", url)
    path = urlsplit(path).path if path.startswith("/") else path.partition("?")[0]
    return f"/{'/'.join(segment for segment in path.split('/') if segment not in {'', '.'})}"
