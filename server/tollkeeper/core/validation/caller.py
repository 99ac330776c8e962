"""What a caller may call itself (rules 16)."""

from __future__ import annotations

import re

CALLER_MAX = 64

_WORD = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")


def is_caller(word: str) -> bool:
    """Say whether a caller may call itself this: 1 to 64 printable ASCII characters, no space at an end."""
    return _WORD.fullmatch(word) is not None
