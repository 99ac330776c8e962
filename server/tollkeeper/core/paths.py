"""Request paths: every spelling that a router upstream may treat as the same is read here, so that none is cheaper.

A path has one text (cut at `?` or `#`, decoded once, doubled and last slashes dropped), and one or more
*readings*, each the segments as some router would see them. Rules: docs/rules.md, "Paths and prices"; RFC
3986.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

PATH_BYTES_MAX = 2048

Segments = tuple[str, ...]

# Nothing to decode, to cut, to drop or to doubt: nearly every request.
_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)+")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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
        _segments(cut, decode_first=decode_first, strip_parameters=strip_parameters)
        for decode_first in (False, True)
        for strip_parameters in (False, True)
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


def _segments(cut: str, *, decode_first: bool, strip_parameters: bool) -> Segments:
    if decode_first:
        text = re.split(r"[?#]", _decode(cut), maxsplit=1)[0].replace("\\", "/")
        segments = text.split("/")
    else:
        segments = [_decode(segment) for segment in cut.split("/")]
    if strip_parameters:
        segments = [segment.split(";", 1)[0] for segment in segments]
    return tuple(segment for segment in segments if segment)


def _canonical(decoded: str) -> str:
    return "/" + "/".join(segment for segment in decoded.split("/") if segment)
