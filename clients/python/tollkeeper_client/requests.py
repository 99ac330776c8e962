"""One request from its hold to its end: which way it is settled, for both kinds of client."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tollkeeper_client import operations
from tollkeeper_client.answers import Decision, Denied, Held, Outcome
from tollkeeper_client.calls import TIMEOUT_S

if TYPE_CHECKING:
    from datetime import timedelta

    from tollkeeper_client.errors import TollkeeperError
    from tollkeeper_client.operations import Operation

log = logging.getLogger(__name__)

SETTLE_S = 30.0
"""How long a request's end is repeated: the hold outlives a restart of the ledger."""


Answer_co = TypeVar("Answer_co", covariant=True)


class Extend(Protocol[Answer_co]):
    """A client's `extend`: it returns its answer, or what a task awaits it by."""

    def __call__(
        self, reservation: Held, hold: timedelta | None = None, *, timeout: float = TIMEOUT_S
    ) -> Answer_co:
        """Let a hold last so long from now."""
        ...


class Request(Generic[Answer_co]):
    """A request that has been authorized, or denied.

    `status`: the HTTP status that was answered to the caller, set once it is known.
    """

    __slots__ = ("_extend", "decision", "status")

    def __init__(self, decision: Decision, extend: Extend[Answer_co]) -> None:
        self.decision = decision
        self.status: int | None = None
        self._extend = extend

    @property
    def denied(self) -> Denied | None:
        """The denial, if it is one: then the request is not processed, and there is nothing to settle."""
        return self.decision if isinstance(self.decision, Denied) else None

    @property
    def held(self) -> Held | None:
        """The hold, if there is one: what is free or denied has none, and cannot be extended."""
        return self.decision if isinstance(self.decision, Held) else None

    def extend(self, hold: timedelta | None = None, *, timeout: float = TIMEOUT_S) -> Answer_co:
        """Let the hold last so long from now, as the client's `extend`; awaited where that is.

        Raises ValueError where nothing is held.
        """
        if self.held is None:
            raise ValueError("nothing is held, so there is nothing to extend")
        return self._extend(self.held, hold, timeout=timeout)


def settlement(request: Request[Any], error: BaseException | None) -> Operation[Any] | None:
    """What to tell the ledger at the end of a request; None where nothing is held.

    A request with a status is committed by it, whatever came after. Without a status an error is the gateway's, and
    anything else means that the caller left without a response.
    """
    held = request.decision
    if not isinstance(held, Held):
        return None
    if request.status is not None:
        return operations.commit(held, http_status=request.status, outcome=None)
    if isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError):
        return operations.release(held, outcome=Outcome.SERVER_ERROR)
    return operations.release(held, outcome=Outcome.CANCELLED)


def log_unsettled(error: TollkeeperError) -> None:
    """Say what became of a hold whose request ended with an error of its own, which is raised instead."""
    log.warning("reservation %s was not settled: %s", error.key, error)
