"""The refusals of a server or a store that does not serve, and the errors of a store that get words of their own."""

from __future__ import annotations

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.ports import StoreError, UnavailableError


class ServedFileError(StoreError):
    """A file cannot be served, as where another server serves it. The message says why, in words for an operator."""


class FullError(UnavailableError):
    """The store's disk is full: nothing can be written until there is room."""


class LostError(UnavailableError):
    """What the store was opened on is not there any more. To try again at once does not help."""


def unavailable(error: Exception | None = None) -> Refused:
    """Return the refusal of a call that the store could not serve; `error` is what it said, where it said anything."""
    if isinstance(error, FullError):
        message = "the ledger's disk is full; try again when its operator has made room"
    else:
        message = "the ledger's store cannot be reached; try again"
    return Refused(Reason.STORE_UNAVAILABLE, message)


def account_locked() -> Refused:
    """Return the refusal of an operation for which a lock was not to be had for too long."""
    return Refused(
        Reason.STORE_UNAVAILABLE,
        "another session of the database has locked what this call needs; try again",
    )


def shutting_down() -> Refused:
    """Return the refusal of a call that comes during shutdown."""
    return Refused(
        Reason.SHUTTING_DOWN,
        "the server is shutting down; try another, or again",
    )
