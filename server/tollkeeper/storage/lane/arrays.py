"""PostgreSQL's arrays as text literals: psycopg's own list dumper is Python and cost two thirds of its time."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Encoder = Callable[[Any], str]
"""Writes a column of values as the text of an array."""


def ints(values: Iterable[int]) -> str:
    """Write whole numbers."""
    return "{" + ",".join(map(int.__repr__, values)) + "}"


def byteas(values: Iterable[bytes]) -> str:
    """Write bytes."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


@lru_cache(maxsize=16_384)
def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def texts(values: Iterable[str | None]) -> str:
    """Write texts that may be missing, most of which were written before."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def every_text(values: Iterable[str]) -> str:
    """Write texts that are never missing, in one go: a cache is no help where each is new. No text has a NUL."""
    joined = "\0".join(values).replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + joined.replace("\0", '","') + '"}'


def bools(values: Iterable[bool]) -> str:
    """Write truth values."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"
