"""The paths of prices and limits: what a pattern matches, and what two patterns have in common.

A segment is literal, `{name}` for any one, `{name}:verb` for any one that ends with ":verb", or a last `**` for the
rest. What may be written is checked in `pattern_fields.py`; here a pattern is good. See rules 2.5.
"""

from __future__ import annotations

from unicodedata import normalize

Segments = tuple[str, ...]
"""The words between the slashes of a path, or of a pattern."""

REST = "**"


def segments_of(path: str) -> Segments:
    """Cut the path of a pattern into its segments."""
    return tuple(segment for segment in path.split("/") if segment)


def normal_form(path: str) -> str:
    """Return the spelling that stands for all that are the same text to Unicode: NFC."""
    return normalize("NFC", path)


def is_placeholder(segment: str) -> bool:
    """Say whether a segment of a pattern matches more than itself."""
    return (
        segment == REST or (segment.startswith("{") and segment.endswith("}")) or has_verb(segment)
    )


def verb_of(segment: str) -> str | None:
    """Return what follows the last colon of a segment of a request or a pattern; None where no name is before it."""
    name, _, verb = segment.rpartition(":")
    return verb if name else None


def has_verb(segment: str) -> bool:
    """Say whether a segment of a pattern is `{name}:verb`."""
    return segment.startswith("{") and "}:" in segment and not segment.endswith("}")


def definiteness(segment: str) -> int:
    """Rank a segment of a pattern: literal, then `{name}:verb`, then `{name}` and `**`."""
    if not is_placeholder(segment):
        return 2
    return int(has_verb(segment))


def literal_prefix(segments: Segments) -> Segments:
    """Return the segments before the first placeholder."""
    for index, segment in enumerate(segments):
        if is_placeholder(segment):
            return segments[:index]
    return segments


def shape_of(segments: Segments) -> Segments:
    """Return what two prices of one method may not share: the pattern without the names in its braces."""
    return tuple(map(_shape, segments))


def _shape(segment: str) -> str:
    if segment == REST or not is_placeholder(segment):
        return normal_form(segment)
    return f"{{}}:{normal_form(verb_of(segment) or '')}" if has_verb(segment) else "{}"


def example_of(segment: str) -> str:
    """Return a segment of a request that a segment of a pattern matches."""
    if not is_placeholder(segment):
        return segment
    return f"x:{verb_of(segment)}" if has_verb(segment) else "x"


def matches(pattern: Segments, segments: Segments) -> bool:
    """Say whether a path's segments match a pattern's. Slow: a list is looked up in its table."""
    if not pattern:
        return not segments
    if pattern[-1:] == (REST,):
        pattern = pattern[:-1]
        segments = segments[: len(pattern)]
    if len(pattern) != len(segments):
        return False
    return all(map(_matches, pattern, segments))


def _matches(expected: str, found: str) -> bool:
    if has_verb(expected):
        return verb_of(found) == verb_of(expected)
    return is_placeholder(expected) or expected == found
