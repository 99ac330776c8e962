"""Ends the process of a command that has failed."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, NoReturn

from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.json_form import to_json_line

if TYPE_CHECKING:
    from tollkeeper.cli.failure import CommandError


def fail(error: CommandError, *, as_json: bool = False) -> NoReturn:
    """End the process as a failure asks for."""
    with contextlib.suppress(streams.ReaderGoneError):
        streams.flush()
    if as_json:
        streams.tell(to_json_line(error.values()) + "\n")
    elif not error.told:
        streams.tell(error.message + "\n")
    sys.exit(error.code)
