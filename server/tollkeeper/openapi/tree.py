"""A document as a tree in which every value knows its place in the text, whatever form it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MERGE = "<<"
STR, INT, FLOAT, BOOL, NULL = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")
)


class NotReadableError(ValueError):
    """The text is no document that can be read; the message says where and why."""


class Form(StrEnum):
    """How a document is written."""

    YAML = "YAML"
    JSON = "JSON"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value: its text is `text[start:end]`, without what follows it on its line.

    An alias is the node that it names, so the place of a node may be before its key.
    """

    start: int
    end: int
    column: int
    tag: str
    style: str
    """`{` or `[` for a flow collection, empty for one in blocks; a scalar's quote, `|` or `>`."""
    value: str = ""
    entries: tuple[tuple[Node, Node], ...] | None = None
    """The keys and values of a mapping, None for anything else."""
    items: tuple[Node, ...] | None = None
    """The values of a sequence, None for anything else."""

    @property
    def is_mapping(self) -> bool:
        """Say whether it has keys."""
        return self.entries is not None

    def own(self, key: str) -> tuple[Node, Node] | None:
        """Return the key and the value of an entry that is written in this mapping itself."""
        for entry in self.entries or ():
            if entry[0].value == key:
                return entry
        return None

    def get(self, key: str) -> Node | None:
        """Return a value of this mapping, its own or one that it merges in."""
        entry = self.own(key)
        if entry is not None:
            return entry[1]
        merged = self.own(MERGE)
        for source in (merged[1].items or (merged[1],)) if merged is not None else ():
            inherited = source.get(key)
            if inherited is not None:
                return inherited
        return None

    def text(self, key: str) -> str:
        """Return the text of a key, empty where it is missing or no scalar."""
        value = self.get(key)
        return value.value if value is not None else ""

    def pairs(self) -> Iterator[tuple[str, Node]]:
        """List the entries of a mapping, its own and those that it merges in, each key once."""
        seen: set[str] = set()
        for key, value in self.entries or ():
            if key.value != MERGE:
                seen.add(key.value)
                yield key.value, value
        merged = self.own(MERGE)
        for source in (merged[1].items or (merged[1],)) if merged is not None else ():
            for name, value in source.pairs():
                if name not in seen:
                    seen.add(name)
                    yield name, value


def content(node: Node, changed: Mapping[Node, Mapping[str, Node | None]]) -> object:
    """Return what a document says, without how; `changed` are entries to set, or None to remove.

    Two documents say the same where this is equal.
    """
    if node.items is not None:
        return node.tag, tuple(content(item, changed) for item in node.items)
    if node.entries is None:
        return node.tag, node.value
    said = {(key.tag, key.value): content(value, changed) for key, value in node.entries}
    for name, value in changed.get(node, {}).items():
        if value is None:
            said.pop((STR, name), None)
        else:
            said[STR, name] = content(value, {})
    return node.tag, said
