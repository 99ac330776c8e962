"""What the records of an account's calls say: which of them may have been the last to set something.

Records of one microsecond have no order: each of them may be the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Problem = tuple[int, str]
"""The number of an invariant, and what is wrong."""


class RecordedCall(NamedTuple):
    """A call of an operator, as its record tells of it."""

    method: str
    content: dict[str, Any]
    result: dict[str, Any]
    created_us: int


class Set(NamedTuple):
    """What a call has set something to, and when."""

    created_us: int
    value: Any


def may_be(sets: Iterable[Set]) -> list[Any]:
    """Return the values of those that may have been the last; empty where there are none."""
    every = list(sets)
    newest_us = max((each.created_us for each in every), default=0)
    return [each.value for each in every if each.created_us == newest_us]


def of_methods(calls: Sequence[RecordedCall], *methods: str) -> list[RecordedCall]:
    """Return the calls of some methods."""
    return [call for call in calls if call.method in methods]


def unlike(what: str, fields: dict[str, tuple[Any, Any]]) -> Iterable[str]:
    """Yield each field whose two values, that of the ledger and that of the call, are not the same."""
    for field, (now, said) in fields.items():
        if now != said:
            yield f"{what} has {field} {now!r}, but its call said {said!r}"
