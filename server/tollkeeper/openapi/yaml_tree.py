"""Reads YAML 1.2 into a tree with places, on the composer of ruamel.yaml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from tollkeeper.openapi.tree import MERGE, Node, NotReadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCALARS_IN_BLOCKS = ("|", ">")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")


def parse_yaml(text: str) -> Node:
    """Read a YAML document. Raises NotReadableError."""
    try:
        # Without plug_ins it would look for some on the disk, each time.
        yaml: Any = YAML(typ="safe", pure=True, plug_ins=[])
        composed: Any = yaml.compose(text)
        if composed is None:
            raise NotReadableError("is empty")
        return _Reading(text).node(composed, parent_column=-1)
    except MarkedYAMLError as error:
        raise NotReadableError(_words(error)) from None
    except YAMLError as error:
        raise NotReadableError(" ".join(str(error).split())) from None
    except RecursionError:
        raise NotReadableError("is nested too deeply, or within itself") from None


class _Reading:
    """Turns composed nodes into ours; an alias becomes the same node again."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.known: dict[int, Node] = {}

    def node(self, composed: Any, *, parent_column: int) -> Node:  # noqa: ANN401 - not typed there
        known = self.known.get(id(composed))
        if known is not None:
            return known
        start, end = int(composed.start_mark.index), int(composed.end_mark.index)
        column, tag = int(composed.start_mark.column), str(composed.tag)
        flow_style, value = bool(getattr(composed, "flow_style", False)), composed.value
        if isinstance(composed, MappingNode):
            entries = self.entries(value, column)
            end = end if flow_style else _end_of(start, [each for pair in entries for each in pair])
            node = Node(start, end, column, tag, "{" if flow_style else "", entries=entries)
        elif isinstance(composed, SequenceNode):
            items = tuple(self.node(each, parent_column=column) for each in value)
            end = end if flow_style else _end_of(start, items)
            node = Node(start, end, column, tag, "[" if flow_style else "", items=items)
        else:
            style = str(composed.style or "")
            if style in _SCALARS_IN_BLOCKS:
                end = self.end_of_block(start, parent_column)
            node = Node(start, end, column, tag, style, str(value))
        self.known[id(composed)] = node
        return node

    def entries(
        self, parts: Sequence[tuple[Any, Any]], column: int
    ) -> tuple[tuple[Node, Node], ...]:
        entries = tuple(
            (self.node(key, parent_column=column), self.node(value, parent_column=column))
            for key, value in parts
        )
        seen: set[tuple[str, str]] = set()
        for (key, _), (mark, _) in zip(entries, parts, strict=True):
            name = (key.tag, key.value)
            if name in seen and key.value != MERGE:
                line = int(mark.start_mark.line) + 1
                raise NotReadableError(f'line {line}: the key "{key.value}" is there twice')
            seen.add(name)
        return entries

    def end_of_block(self, start: int, parent_column: int) -> int:
        """Return the end of the last line that is more indented than the key.

        Blank lines below it belong to the text only where its header says that they are kept.
        """
        header = _LINE.match(self.source, start)
        here = header.end() if header is not None else len(self.source)
        first = (header[0] if header is not None else "").rstrip("\r\n")
        end, keeps_blanks = start + len(first), "+" in first.partition("#")[0]
        while here < len(self.source):
            line = _LINE.match(self.source, here)
            text = line[0] if line is not None else ""
            bare = text.rstrip("\r\n")
            if bare.strip(" "):
                if len(bare) - len(bare.lstrip(" ")) <= parent_column:
                    break
                end = here + len(bare)
            elif keeps_blanks and text != bare:
                end = here + len(bare)
            here += len(text) or 1
        return end


def _end_of(start: int, parts: Sequence[Node]) -> int:
    """Return the end of the last part: the composer's own includes what stands below it."""
    return max((part.end for part in parts if part.start >= start), default=start)


def _words(error: Any) -> str:  # noqa: ANN401 - not typed there
    mark = error.problem_mark or error.context_mark
    where = f"line {int(mark.line) + 1}: " if mark is not None else ""
    return f"{where}{error.problem or error.context}"
