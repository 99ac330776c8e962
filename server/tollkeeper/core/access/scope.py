"""The accounts that a caller is bound to: some by their ids, some by the beginning of their ids, or all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

PATTERNS_MAX = 100
"""Patterns of one caller."""

_PATTERN = re.compile(r"[A-Za-z0-9._:@/-]{1,128}\*?")


class Scope(NamedTuple):
    """Patterns of account ids, sorted: an id, or the beginning of ids with `*` after it. None at all means all."""

    patterns: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        """Say whether every account is in it."""
        return not self.patterns

    def has(self, account_id: str) -> bool:
        """Say whether an account is in it."""
        return self.is_all or any(
            account_id.startswith(pattern[:-1]) if pattern[-1] == "*" else account_id == pattern
            for pattern in self.patterns
        )

    def has_all_of(self, prefix: str) -> bool:
        """Say whether every account is in it whose id begins so."""
        return self.is_all or any(
            pattern[-1] == "*" and prefix.startswith(pattern[:-1]) for pattern in self.patterns
        )

    def __str__(self) -> str:
        """Write it as `read_scope` reads it."""
        return ",".join(self.patterns)


ALL = Scope()


def read_scope(field: str, patterns: Iterable[str]) -> Scope:
    """Read patterns; what another one has already is left out. Raises Refused INVALID_FIELD, naming the field."""
    given = tuple(dict.fromkeys(patterns))
    if len(given) > PATTERNS_MAX:
        raise invalid(field, f"has {len(given)} patterns; {PATTERNS_MAX} are allowed")
    for at, pattern in enumerate(given):
        if not _PATTERN.fullmatch(pattern):
            raise invalid(
                f"{field}[{at}]",
                f"is {pattern[:200]!r}; it must be an account id, or the beginning of ids with * at its end",
            )
    kept = [
        pattern
        for pattern in given
        if not any(_is_in(pattern, other) for other in given if other != pattern)
    ]
    return Scope(tuple(sorted(kept)))


def _is_in(pattern: str, other: str) -> bool:
    """Say whether all that one pattern has is in another."""
    return other[-1] == "*" and pattern.startswith(other[:-1])
