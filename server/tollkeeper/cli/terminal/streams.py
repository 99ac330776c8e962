"""Standard output and standard error: how wide they are, which letters they have, and whether anybody reads on.

All that a command prints goes through here or through `screen.py`, which stands on it.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from tollkeeper.cli.terminal.visible import visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

_DUMB = ("dumb", "unknown", "")


class ReaderGoneError(Exception):
    """The reader of standard output has closed it, as `head` does, and does not want the rest."""


def prepare() -> None:
    """Let both streams write what they have no letters for as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def width() -> int | None:
    """Return the columns of standard output; None if it is no terminal and COLUMNS does not say."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    if not sys.stdout.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except OSError:
        return None


def is_ascii() -> bool:
    """Say whether lines and blocks of a drawing would come out as escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        "─█".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def has_styles() -> bool:
    """Say whether standard output is a terminal that can show bold letters."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in _DUMB


def has_colours() -> bool:
    """Say whether it can show colours, and no setting turns them off."""
    return has_styles() and not os.environ.get("NO_COLOR")


def write(text: str) -> None:
    """Write to standard output as it is. Raises ReaderGoneError."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise ReaderGoneError from None


def flush() -> None:
    """Send on what was written. Raises ReaderGoneError."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None


def write_data(text: str) -> None:
    """Write what programs read: UTF-8, whatever the terminal's letters; on a terminal nothing that steers it."""
    DataOut().write(text)


class DataOut:
    """Standard output for CSV, JSON and the like, see `write_data`."""

    def __init__(self) -> None:
        out = sys.stdout
        self._seen = out.isatty()
        if isinstance(out, io.TextIOWrapper) and not self._seen and out.encoding.lower() != "utf-8":
            out.reconfigure(encoding="utf-8", errors="backslashreplace")

    def write(self, text: str, /) -> int:
        """Write a part. Raises ReaderGoneError."""
        write(visible_lines(text) if self._seen else text)
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:
        """Write parts one after the other. Raises ReaderGoneError."""
        for line in lines:
            self.write(line)


def tell(text: str) -> None:
    """Write lines to standard error, where they are seen beside a result; nothing in them steers a terminal."""
    try:
        sys.stderr.write(visible_lines(text))
        sys.stderr.flush()
    except BrokenPipeError:
        pass  # standard error is closed; the exit code says it too


def let_go() -> None:
    """Close what is still unwritten for a reader that has gone, so that nothing complains of it at the end."""
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)
