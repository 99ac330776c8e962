"""Request paths: every spelling that a router upstream may treat as the same is read here, so that none is cheaper.

A path has one text (cut at `?` or `#`, decoded once, doubled and last slashes dropped), and one or more
*readings*, each the segments as some router would see them, at most 24. See rules 2.5 and RFC 3986.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import is_normalized
from urllib.parse import unquote_to_bytes

from tollkeeper.core.pricing.patterns import Segments, normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH_BYTES_MAX = 2048

# Nothing to decode, to cut, to drop or to doubt: nearly every request.
_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)+")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BLANKS = " \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What Unicode calls white space, less the control characters, and what JavaScript takes for such."""


class Path(NamedTuple):
    """A request path: `text` is its one canonical form, `readings` are the ways to cut it into segments."""

    text: str
    readings: tuple[Segments, ...]


@lru_cache(maxsize=16_384)
def parse(raw: str) -> Path:
    """Read a request path. Raises ValueError, in words for a person, for one that must be refused."""
    if len(raw) <= PATH_BYTES_MAX and _PLAIN.fullmatch(raw):
        return Path(raw, (tuple(raw[1:].split("/")),))
    cut = re.split(r"[?#]", raw, maxsplit=1)[0]
    if not cut.startswith("/"):
        raise ValueError("must begin with /")
    if len(cut.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        raise ValueError(f"must not be longer than {PATH_BYTES_MAX} bytes")
    decoded = _decode(cut)
    readings = {
        reading
        for segments in _cuts(cut)
        for spelt in _spellings(segments)
        for stripped in (spelt, [segment.split(";", 1)[0] for segment in spelt])
        for reading in _trims(stripped)
    }
    if any(segment in {".", ".."} for reading in readings for segment in reading):
        raise ValueError("must not have . or .. as a segment")
    return Path(_canonical(decoded), tuple(sorted(readings)))


def _decode(text: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise ValueError("has a broken percent-encoding")
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        raise ValueError("is not UTF-8 after decoding") from None
    if _CONTROL.search(decoded):
        raise ValueError("must not have control characters")
    if _ESCAPE.search(decoded):
        raise ValueError("must not be percent-encoded twice")
    return decoded


def _cuts(cut: str) -> tuple[list[str], list[str]]:
    """Return the segments where each is decoded by itself, and where all is decoded first."""
    decoded = re.split(r"[?#]", _decode(cut), maxsplit=1)[0].replace("\\", "/")
    return [_decode(segment) for segment in cut.split("/")], decoded.split("/")


def _spellings(segments: list[str]) -> Iterable[list[str]]:
    """Return the segments as they are written, and in the form that Unicode takes for the same text."""
    yield segments
    if not is_normalized("NFC", "/".join(segments)):
        yield [normal_form(segment) for segment in segments]


def _trims(segments: list[str]) -> Iterable[Segments]:
    """Return the segments with their blanks, without those at the end of the path, and without all at an end of one."""
    yield _filled(segments)
    if not any(segment != segment.strip(_BLANKS) for segment in segments):
        return
    yield _filled([segment.strip(_BLANKS) for segment in segments])
    end = list(segments)
    while end and not end[-1].strip(_BLANKS):
        end.pop()
    if end:
        end[-1] = end[-1].rstrip(_BLANKS)
    yield _filled(end)


def _filled(segments: list[str]) -> Segments:
    return tuple(segment for segment in segments if segment)


def _canonical(decoded: str) -> str:
    return "/" + "/".join(segment for segment in decoded.split("/") if segment)
