"""How a command fails: one exception, with what is printed and the exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can tell a command's end by."""

    OK = 0
    REFUSED = 1
    """A refusal, a denial, a finding, or no server."""
    USAGE = 2
    """The command line itself is wrong; nothing was asked of anyone."""


class CommandError(Exception):
    """Ends the command: the message, one or more lines, goes to stderr."""

    def __init__(self, message: str, code: ExitCode = ExitCode.REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def wrong_usage(message: str) -> CommandError:
    """Return the failure of a command line that cannot be understood."""
    return CommandError(message, ExitCode.USAGE)
