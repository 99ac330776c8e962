"""Checks the path of a price or a limit, and says how to write what another system would understand.

A placeholder of another system would be a literal here, match no request, and price nothing without a word. So it is
refused, with the spelling that means the same. What is good: rules 2.5.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tollkeeper.core.pricing.paths import PATH_BYTES_MAX
from tollkeeper.core.pricing.patterns import REST

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAULTS_MAX = 3
"""The most segments that a message names."""
_SHOWN_MAX = 60
"""The most of a segment that a message quotes."""

_NO_LITERAL = r"%?#;\\{}*<>/\s\x00-\x1f\x7f-\x9f"
_VERB = rf":[^{_NO_LITERAL}:]+"
_GOOD = re.compile(
    # `$id` is another system's placeholder; `$count` and `$metadata` are how some paths are.
    rf"(?!\.{{1,2}}$|[:\[]|\$(?:id|\w*(?:Id|_id))$)[^{_NO_LITERAL}]+"
    rf"|\{{(?![^}}]*\.\.\.)[^{_NO_LITERAL}:=+$()\[\]|^]+\}}(?:{_VERB})?"
)

_NAME = r"(?P<name>\w[\w-]*)"
_REST_ELSEWHERE = [
    re.compile(each)
    for each in (
        rf"\*\*?{_NAME}",
        rf":{_NAME}(?:[*+]|\(\.[*+]\))",
        rf"<path:{_NAME}>",
        rf"<{_NAME}(?::path|\.\.)>",
        rf"\{{(?:\*\*?|\+){_NAME}\}}",
        rf"\{{{_NAME}(?:\.\.\.|[*+]|:path|:\.[*+]|=\*\*)\}}",
        rf"\[{{1,2}}\.\.\.{_NAME}\]{{1,2}}",
    )
]
"""What other systems write for the rest of a path."""
_ONE_ELSEWHERE = [
    re.compile(rf"{each}(?P<verb>{_VERB})?")
    for each in (
        rf":{_NAME}(?:\?|\(.*\))?",
        rf"<{_NAME}:(?:int|float|re:.*)>",
        rf"<(?:[^<>]*:)?{_NAME}>",
        rf"\{{\{{{_NAME}\}}\}}",
        rf"\{{{_NAME}[:=?].*\}}",
        rf"\[\[?{_NAME}\]\]?",
        rf"[$#]\{{{_NAME}\}}",
        rf"\${_NAME}",
        rf"\(\?P?<{_NAME}>.*\)",
    )
]
"""What other systems write for one segment."""
_FOREIGN = re.compile(r"^[:\[$][^{]*$|^[^{]*[*<>][^{]*$")
_BRACES = re.compile(r"\{(?P<name>\w[\w-]*)[^{}]*\}")


def fault_of_pattern(pattern: str) -> str | None:
    """Say what is wrong with the path of a price, all of it; None for a good one. A slash at its end is good."""
    if not pattern.startswith("/"):
        return "must begin with /"
    if len(pattern.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        return f"must not be longer than {PATH_BYTES_MAX} bytes"
    segments = pattern[1:].split("/")
    if segments[-1] == "":
        segments.pop()
    last = segments[-1] if segments else ""
    if last == REST:
        segments.pop()
    bad = dict.fromkeys(segment for segment in segments if not _GOOD.fullmatch(segment))
    return _told(list(bad), last=last) if bad else None


def _told(bad: Sequence[str], *, last: str) -> str:
    told = [_fault_of(segment, is_last=segment == last) for segment in bad[:_FAULTS_MAX]]
    if len(bad) > _FAULTS_MAX:
        told.append(f"and {len(bad) - _FAULTS_MAX} more segments are wrong")
    return "; ".join(told)


def _fault_of(segment: str, *, is_last: bool) -> str:
    if segment == "":
        return "has two slashes in a row; write one"
    if segment in {".", ".."}:
        return f'has "{segment}" as a segment; leave it out'
    if segment == REST:
        return 'has "**" before its end; write "{name}" for one segment'
    literally = ", which would be taken literally" if _FOREIGN.search(segment) else ""
    return f'has "{_shown(segment)}"{literally}; {_way_out(segment, is_last=is_last)}'


def _way_out(segment: str, *, is_last: bool) -> str:
    for each in _REST_ELSEWHERE:
        if found := each.fullmatch(segment):
            return 'write "**"' if is_last else f'write "{{{found["name"]}}}", for one segment'
    for each in _ONE_ELSEWHERE:
        if found := each.fullmatch(segment):
            return f'write "{{{found["name"]}}}{found["verb"] or ""}"'
    if segment == "*":
        return 'write "{name}" for one segment' + (', or "**" for the rest' if is_last else "")
    if segment.startswith("{}"):
        return 'write a name in the braces, such as "{id}"'
    if way_out := _braces(segment):
        return way_out
    if "%" in segment and _GOOD.fullmatch(decoded := unquote(segment)):
        return f'write it decoded, as "{_shown(decoded)}"'
    return (
        "a segment is text, decoded and without % ? # ; \\ { } * < > and spaces,"
        ' or it is "{name}", "{name}:verb", or a last "**"'
    )


def _braces(segment: str) -> str | None:
    """Say what braces stand for, where a segment has some and more; None where it has none."""
    braces = _BRACES.search(segment)
    if segment.startswith("{") and "}:" in segment:
        return 'a verb is text without another ":", as in "{name}:verb"'
    if braces is None:
        return None
    if braces.end() < len(segment) or braces.start():
        name = braces["name"]
        return f'braces stand for a whole segment; name each with this text, or write "{{{name}}}" for all'
    return f'write "{{{braces["name"]}}}"'


def _shown(segment: str) -> str:
    """Return a segment as a message can quote it."""
    text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in segment)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
