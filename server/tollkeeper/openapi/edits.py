"""Writes entries into a mapping of a document, in the style that is there already.

An edit replaces a part of the text. Whether all edits together say what was meant, `annotate.py`
checks by reading the result; so this file may choose the likely and the readable.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.openapi.reading import parse
from tollkeeper.openapi.tree import STR, Form, NotReadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tollkeeper.openapi.tree import Node

SUMMARY = "summary"

_ALIAS = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")
_BELOW = re.compile(r":[ ]*(?:\r\n|\r|\n)[ ]*")
_LINE_END = re.compile(r"\r\n|\r|\n|\Z")
_INDENT = 2


class Edit(NamedTuple):
    """`text[start:end]` is to become `becomes`."""

    start: int
    end: int
    becomes: str


class Entry(NamedTuple):
    """What a key of a mapping is to say."""

    value: str | None
    """A text, or JSON where `is_json`; None where the key is to go."""
    is_json: bool = False


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Carry edits out that do not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.becomes + text[edit.end :]
    return text


def edits_of(
    text: str, mapping: Node, key: Node, wanted: Mapping[str, Entry], *, form: Form
) -> list[Edit]:
    """Return what makes a mapping, which stands under `key`, say what is wanted."""
    writer = _Flow(text, mapping, form) if mapping.style else _Block(text, mapping, key)
    return writer.edits(wanted)


class _Writer:
    def __init__(self, text: str, mapping: Node) -> None:
        self.text = text
        self.mapping = mapping
        self.entries: Sequence[tuple[Node, Node]] = mapping.entries or ()

    def edits(self, wanted: Mapping[str, Entry]) -> list[Edit]:
        own = {key.value for key, _ in self.entries}
        gone = {name for name, entry in wanted.items() if entry.value is None}
        edits = self.removal(gone & own)
        for key, value in self.entries:
            entry = wanted.get(key.value)
            if entry is not None and entry.value is not None:
                start, end = self.place(key, value)
                becomes = self.replaced(entry, value)
                # A value that began on a line of its own begins beside its key.
                if _BELOW.fullmatch(self.text[key.end : start]) and not self.mapping.style:
                    start, becomes = key.end, f": {becomes}"
                edits.append(Edit(start, end, becomes))
        new = {name: entry for name, entry in wanted.items() if name not in own | gone}
        return [*edits, self.insertion(new)] if new else edits

    def place(self, key: Node, value: Node) -> tuple[int, int]:
        """Return where the value of a key is written; for an alias that is not where it is."""
        alias = _ALIAS.match(self.text, key.end) if value.start < key.end else None
        return alias.span(1) if alias is not None else (value.start, value.end)

    def removal(self, gone: set[str]) -> list[Edit]:
        raise NotImplementedError

    def replaced(self, entry: Entry, value: Node) -> str:
        raise NotImplementedError

    def insertion(self, new: Mapping[str, Entry]) -> Edit:
        raise NotImplementedError

    def line_start(self, at: int) -> int:
        return max(self.text.rfind("\n", 0, at), self.text.rfind("\r", 0, at)) + 1

    def line_end(self, at: int) -> int:
        line_end = _LINE_END.search(self.text, at)
        return line_end.start() if line_end is not None else len(self.text)

    def after_line(self, at: int) -> int:
        line_end = _LINE_END.search(self.text, at)
        return line_end.end() if line_end is not None else len(self.text)


class _Block(_Writer):
    """A mapping in lines of YAML. New entries come below the summary, or else come first."""

    def __init__(self, text: str, mapping: Node, key: Node) -> None:
        super().__init__(text, mapping)
        self.key = key
        self.indent = " " * mapping.column
        line_end = _LINE_END.search(text)
        self.newline = (line_end[0] if line_end is not None else "") or "\n"

    def removal(self, gone: set[str]) -> list[Edit]:
        if gone and gone == {key.value for key, _ in self.entries}:
            return [Edit(self.mapping.start, self.mapping.end, "{}")]
        return [
            Edit(self.line_start(key.start), self.after_line(self.place(key, value)[1]), "")
            for key, value in self.entries
            if key.value in gone
        ]

    def insertion(self, new: Mapping[str, Entry]) -> Edit:
        lines = [f"{name}: {self.written(entry)}" for name, entry in new.items()]
        summary = self.mapping.own(SUMMARY)
        if summary is not None and self.is_one_line(*summary):
            at = self.line_end(summary[1].end)
        elif self.line_start(self.key.start) < self.line_start(self.mapping.start):
            at = self.line_end(self.key.end)
        else:
            at = self.mapping.start
            return Edit(at, at, "".join(f"{line}{self.newline}{self.indent}" for line in lines))
        return Edit(at, at, "".join(f"{self.newline}{self.indent}{line}" for line in lines))

    def is_one_line(self, key: Node, value: Node) -> bool:
        if value.start < key.end or value.style in {"|", ">"} or value.entries or value.items:
            return False
        return self.line_start(key.start) == self.line_start(value.end)

    def replaced(self, entry: Entry, value: Node) -> str:
        if entry.is_json:
            return self.written(entry)
        wanted = entry.value or ""
        if value.style in {"|", ">"} and value.start > self.mapping.start:
            source = self.text[value.start : value.end]
            return next(
                (each for each in self.in_place(source, wanted, value) if self.says(each, wanted)),
                self.written(entry),
            )
        # What follows on the line is a comment, which a text in lines would take in.
        if self.text[value.end : self.line_end(value.end)].strip():
            return _quoted(wanted)
        return self.written(entry)

    def in_place(self, source: str, wanted: str, value: Node) -> list[str]:
        """Change the last lines of a text alone, so that the lines before them stay as they are."""
        header, *lines = re.split(r"\r\n|\r|\n", source)
        filled = [line for line in lines if line.strip()]
        if not filled:
            return []
        margin = filled[0][: len(filled[0]) - len(filled[0].lstrip(" "))]
        base, tail = _common(value.value, wanted)
        dropped = value.value[len(base) :].strip("\n")
        if dropped:
            if filled[-1].strip() != dropped:
                return []
            lines = lines[: len(lines) - 1 - lines[::-1].index(filled[-1])]
            while lines and not lines[-1].strip():
                lines.pop()
        if not lines:
            return []
        added = tail.strip("\n")
        blank = ["", ""] if value.style == ">" else [""]
        more = [*blank, f"{margin}{added}"] if added else []
        in_lines = self.newline.join([header, *lines, *more])
        # As our own notice made it out of a text on one line.
        return [wanted, in_lines] if header == "|-" and len(lines) == 1 else [in_lines]

    def says(self, source: str, wanted: str) -> bool:
        try:
            read = parse(f"{self.indent}key: {source}{self.newline}", Form.YAML)
        except NotReadableError:
            return False
        value = read.get("key")
        return value is not None and (value.tag, value.value) == (STR, wanted)

    def written(self, entry: Entry) -> str:
        wanted = entry.value or ""
        if entry.is_json:
            return _quoted(json.loads(wanted))
        source = self.in_lines(wanted)
        return source if self.says(source, wanted) else _quoted(wanted)

    def in_lines(self, wanted: str) -> str:
        body = wanted.rstrip("\n")
        ends = len(wanted) - len(body)
        chomping = "-" if ends == 0 else "" if ends == 1 else "+"
        deeper = str(_INDENT) if body.lstrip("\n").startswith(" ") else ""
        margin = self.indent + " " * _INDENT
        lines = [f"{margin}{line}" if line else "" for line in body.split("\n")]
        return self.newline.join([f"|{deeper}{chomping}", *lines, *[""] * max(0, ends - 1)])


class _Flow(_Writer):
    """A mapping in braces: JSON, or YAML that looks like it."""

    def __init__(self, text: str, mapping: Node, form: Form) -> None:
        super().__init__(text, mapping)
        first = self.entries[0] if self.entries else None
        self.space = text[mapping.start + 1 : first[0].start] if first is not None else ""
        self.is_quoted = form is Form.JSON or (first is not None and first[0].style == '"')
        colon = text[first[0].end : first[1].start] if first is not None else ": "
        self.colon = colon if colon in {":", ": "} else ": "
        self.comma = "," if self.colon == ":" or "\n" in self.space else ", "
        self.form = form
        self.ascii = text.isascii()

    def removal(self, gone: set[str]) -> list[Edit]:
        edits: list[Edit] = []
        count, index = len(self.entries), 0
        while index < count:
            first = index
            while index < count and self.entries[index][0].value in gone:
                index += 1
            if first < index:
                edits.append(Edit(*self.run(first, index), ""))
            index += 1
        return edits

    def run(self, first: int, end: int) -> tuple[int, int]:
        """Return where some neighbouring entries are written, with one comma."""
        last = self.place(*self.entries[end - 1])[1]
        if first:
            return self.place(*self.entries[first - 1])[1], last
        if end < len(self.entries):
            return self.entries[0][0].start, self.entries[end][0].start
        return self.mapping.start + 1, self.mapping.end - 1

    def replaced(self, entry: Entry, value: Node) -> str:
        if entry.is_json:
            return self.json(entry)
        wanted = entry.value or ""
        source = self.text[value.start : value.end]
        if value.style == '"' and value.start > self.mapping.start:
            base, tail = _common(value.value, wanted)
            dropped = json.dumps(value.value[len(base) :], ensure_ascii=self.ascii)[1:-1]
            if not dropped or source[1:-1].endswith(dropped):
                body = source[1 : len(source) - 1 - len(dropped)]
                folded = f'"{body}{json.dumps(tail, ensure_ascii=self.ascii)[1:-1]}"'
                if _reads(folded) == wanted:
                    return folded
        return self.written(entry)

    def insertion(self, new: Mapping[str, Entry]) -> Edit:
        entries = [
            f"{self.named(name)}{self.colon}{self.written(entry)}" for name, entry in new.items()
        ]
        between = self.comma + (self.space if "\n" in self.space else "")
        summary = self.mapping.own(SUMMARY)
        if summary is not None:
            at = self.place(*summary)[1]
            return Edit(at, at, "".join(f"{between}{entry}" for entry in entries))
        at = self.entries[0][0].start if self.entries else self.mapping.start + 1
        return Edit(at, at, between.join([*entries, ""]) if self.entries else between.join(entries))

    def named(self, name: str) -> str:
        return json.dumps(name) if self.is_quoted else name

    def written(self, entry: Entry) -> str:
        if entry.is_json:
            return self.json(entry)
        wanted = entry.value or ""
        return self.dumped(wanted)

    def json(self, entry: Entry) -> str:
        """Write JSON as the entries beside it are written: in lines, or on one."""
        value = json.loads(entry.value or "")
        if "\n" not in self.space:
            return self.dumped(value, separators=(self.comma, self.colon))
        newline = "\r\n" if "\r\n" in self.space else "\n"
        inner = self.space.rpartition("\n")[2]
        line = self.text[self.line_start(self.mapping.start) :]
        outer = line[: len(line) - len(line.lstrip(" \t"))]
        unit = inner[len(outer) :] if inner.startswith(outer) else ""
        dumped = self.dumped(value, indent=unit or " " * _INDENT)
        return dumped.replace("\n", f"{newline}{inner}")

    def dumped(self, value: object, **how: Any) -> str:  # noqa: ANN401 - as json.dumps takes it
        if self.form is Form.JSON:
            return json.dumps(value, ensure_ascii=self.ascii, **how)
        return _quoted(value, **how)


def _common(old: str, new: str) -> tuple[str, str]:
    """Return the lines that both texts begin with, and what the new one has after them."""
    lines: list[str] = []
    for ours, theirs in zip(old.split("\n"), new.split("\n"), strict=False):
        if ours != theirs:
            break
        lines.append(ours)
    base = "\n".join(lines)
    return base, new[len(base) :]


def _reads(source: str) -> str | None:
    try:
        return str(json.loads(source))
    except ValueError:
        return None


def _quoted(value: object, **how: Any) -> str:  # noqa: ANN401 - as json.dumps takes it
    """Write JSON for YAML, where JSON's pairs of surrogates mean nothing."""
    dumped = json.dumps(value, ensure_ascii=False, **how)
    return "".join(
        each if each.isprintable() or each == "\n" else f"\\U{ord(each):08x}" for each in dumped
    )
