"""How a command fails: one exception, with what is printed, why, and the exit code.

A person reads the message on standard error. With `--json` the last line of standard error is one JSON object that
says the same, whatever the failure; docs/reference/command-line.md has its form.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """What a script can tell a command's end by."""

    OK = 0
    FAILED = 1
    """An error, or a finding of a command that checks something."""
    USAGE = 2
    """The command line or the settings are wrong; nothing was asked of anyone."""
    DENIED = 3
    """Authorize denied the request."""
    NO_SERVER = 4
    """The server could not be reached, did not answer, or said UNAVAILABLE."""
    INTERRUPTED = 130
    """Ctrl-C, as a shell reports it."""
    READER_GONE = 141
    """Whoever read standard output has closed it, as a shell reports it."""


class Why(StrEnum):
    """The reasons that are the command line's own; the others are those of the server, docs/reference/errors.md."""

    WRONG_USAGE = "WRONG_USAGE"
    WRONG_SETTINGS = "WRONG_SETTINGS"
    SERVER_UNREACHABLE = "SERVER_UNREACHABLE"
    TLS_FAILED = "TLS_FAILED"
    SERVER_LOST = "SERVER_LOST"
    NO_ANSWER = "NO_ANSWER"
    WRONG_SERVER = "WRONG_SERVER"
    FINDINGS = "FINDINGS"
    FILE_UNREADABLE = "FILE_UNREADABLE"
    FILE_UNWRITABLE = "FILE_UNWRITABLE"
    FILE_INVALID = "FILE_INVALID"
    NO_SUCH_PRICE_LIST = "NO_SUCH_PRICE_LIST"
    EXTRA_MISSING = "EXTRA_MISSING"
    DATABASE_FAILED = "DATABASE_FAILED"
    SCHEMA_NOT_CURRENT = "SCHEMA_NOT_CURRENT"
    CANNOT_SERVE = "CANNOT_SERVE"
    CANNOT_LOAD = "CANNOT_LOAD"
    INTERRUPTED = "INTERRUPTED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class Violation(NamedTuple):
    """A field, an option or a setting that is wrong, and what it must be."""

    field: str
    description: str


class CommandError(Exception):
    """Ends the command: the message, one or more lines, goes to stderr.

    `reason` is one of Why, or the server's; `status` is the name of the gRPC status, empty where there is none. A
    failure that is `told` has been printed for a person already.
    """

    def __init__(
        self,
        message: str,
        code: ExitCode = ExitCode.FAILED,
        *,
        reason: str,
        status: str = "",
        violations: Iterable[Violation] = (),
        request_id: str | None = None,
        told: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.status = status
        self.violations = tuple(violations)
        self.request_id = request_id
        self.told = told

    def told_already(self) -> CommandError:
        """Return this failure as one that has been printed for a person."""
        self.told = True
        return self

    def values(self) -> dict[str, Any]:
        """Return the failure as `--json` prints it; what is not known is left out."""
        error: dict[str, Any] = {"reason": self.reason, "message": self.message}
        if self.status:
            error["status"] = self.status
        if self.violations:
            error["violations"] = [each._asdict() for each in self.violations]
        if self.request_id is not None:
            error["request_id"] = self.request_id
        return {"error": error, "exit_code": int(self.code)}


def wrong_usage(message: str, *violations: Violation) -> CommandError:
    """Return the failure of a command line that cannot be understood."""
    return CommandError(message, ExitCode.USAGE, reason=Why.WRONG_USAGE, violations=violations)


def wrong_option(name: str, value: object, must: str) -> CommandError:
    """Return the failure of an option or argument that is something else than it must be."""
    return wrong_usage(f"{name} is {value!r}; it {must}", Violation(name, must))


def exclude_each_other(*options: str) -> CommandError:
    """Return the failure of options that were given together and must not be."""
    return wrong_usage(
        f"{' and '.join(options)} exclude each other",
        *(Violation(option, "must not be given with the others") for option in options),
    )


def findings(message: str) -> CommandError:
    """Return the end of a command that checked something, found what is wrong, and has printed it."""
    return CommandError(message, reason=Why.FINDINGS, told=True)
