"""Reads JSON into a tree with places; the standard reader gives values without them."""

from __future__ import annotations

import json
import re

from tollkeeper.openapi.tree import BOOL, FLOAT, INT, NULL, STR, Node, NotReadableError

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {"true": BOOL, "false": BOOL, "null": NULL}
_MAPPING = "tag:yaml.org,2002:map"
_SEQUENCE = "tag:yaml.org,2002:seq"


def parse_json(text: str) -> Node:
    """Read a JSON document. Raises NotReadableError."""
    try:
        reading = _Reading(text)
        node = reading.value(reading.space(0))
        end = reading.space(node.end)
        if end < len(text):
            raise reading.fault(end, "nothing more was expected")
    except json.JSONDecodeError as error:
        raise NotReadableError(f"line {error.lineno}: {error.msg.lower()}") from None
    except RecursionError:
        raise NotReadableError("is nested too deeply") from None
    return node


class _Reading:
    """One pass over a text; every method takes where to begin."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.decoder = json.JSONDecoder()

    def space(self, at: int) -> int:
        space = _SPACE.match(self.source, at)
        return space.end() if space is not None else at

    def fault(self, at: int, message: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(message, self.source, at)

    def value(self, at: int) -> Node:
        first = self.source[at : at + 1]
        if first == "{":
            return self.mapping(at)
        if first == "[":
            return self.sequence(at)
        if first == '"':
            return self.text(at)
        for word, tag in _WORDS.items():
            if self.source.startswith(word, at):
                return self.node(at, at + len(word), tag, value=word)
        number = _NUMBER.match(self.source, at)
        if number is None:
            raise self.fault(at, "a value was expected")
        tag = FLOAT if number[1] or number[2] else INT
        return self.node(at, number.end(), tag, value=number[0])

    def text(self, at: int) -> Node:
        if self.source[at : at + 1] != '"':
            raise self.fault(at, "a key in double quotes was expected")
        value, end = self.decoder.raw_decode(self.source, at)
        return self.node(at, end, STR, style='"', value=str(value))

    def mapping(self, at: int) -> Node:
        entries: list[tuple[Node, Node]] = []
        seen: set[str] = set()
        here = self.space(at + 1)
        while self.source[here : here + 1] != "}":
            if entries:
                here = self.after(here, ",", "a comma or } was expected")
            key = self.text(here)
            if key.value in seen:
                raise self.fault(here, f'the key "{key.value}" is there twice')
            seen.add(key.value)
            value = self.value(self.after(self.space(key.end), ":", "a colon was expected"))
            entries.append((key, value))
            here = self.space(value.end)
        return self.node(at, here + 1, _MAPPING, style="{", entries=tuple(entries))

    def sequence(self, at: int) -> Node:
        items: list[Node] = []
        here = self.space(at + 1)
        while self.source[here : here + 1] != "]":
            if items:
                here = self.after(here, ",", "a comma or ] was expected")
            items.append(self.value(here))
            here = self.space(items[-1].end)
        return self.node(at, here + 1, _SEQUENCE, style="[", items=tuple(items))

    def after(self, at: int, sign: str, message: str) -> int:
        if self.source[at : at + 1] != sign:
            raise self.fault(at, message)
        return self.space(at + 1)

    def node(
        self,
        start: int,
        end: int,
        tag: str,
        *,
        style: str = "",
        value: str = "",
        entries: tuple[tuple[Node, Node], ...] | None = None,
        items: tuple[Node, ...] | None = None,
    ) -> Node:
        column = start - (self.source.rfind("\n", 0, start) + 1)
        return Node(start, end, column, tag, style, value, entries, items)
