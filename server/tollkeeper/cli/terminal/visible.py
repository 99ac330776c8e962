"""Texts of others as a terminal may get them: what would steer it, or cannot be seen, is written out.

A name or a note may hold an escape sequence that moves the cursor, or a mark that turns the direction of what follows.
Nothing else of a text is changed: brackets, colons and backslashes stay as they are.
"""

from __future__ import annotations

import re

_HIDDEN = (
    r"\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f"
)
_ANY = re.compile(rf"[\x00-\x1f{_HIDDEN}]")
_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_HIDDEN}]")
_IN_JSON = re.compile(rf"[{_HIDDEN}]")
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
_BYTE_MAX, _PLANE_MAX = 0xFF, 0xFFFF


def visible(text: str) -> str:
    r"""Return a text on one line; ESC is shown as `\x1b`, a line break as `\n`, U+202E as `\u202e`."""
    return _ANY.sub(_shown, text)


def visible_lines(text: str) -> str:
    """Return a text of several lines likewise; its line breaks and tabs stay."""
    return _IN_LINES.sub(_shown, text)


def visible_json(text: str) -> str:
    """Return a JSON text that means the same; only within its strings can there be anything to write out."""
    return _IN_JSON.sub(_in_json, text)


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code <= _BYTE_MAX:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _PLANE_MAX else f"\\U{code:08x}"


def _in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
