"""The transport of operations to a server: its protocol, and the answers that it returns.

Each operation gets an answer over every transport: the response to it, or the reason why there is none.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import grpc

from tollkeeper_loadtest.operations import Denied, Held, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper_loadtest.operations import Operation

OVERLOADED = "OVERLOADED"
_PERHAPS_DONE = frozenset(
    {
        "STORE_UNAVAILABLE",
        "SHUTTING_DOWN",
        "INTERNAL",
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "CANCELLED",  # not by us: on the way
    }
)


class Failed(NamedTuple):
    """No response: the reason of the ledger, or else gRPC's code, and the words."""

    reason: str
    message: str

    @property
    def overloaded(self) -> bool:
        """The server sheds load: nothing was done."""
        return self.reason == OVERLOADED

    @property
    def perhaps_done(self) -> bool:
        """The operation may have been carried out; its repeat will tell."""
        return self.reason in _PERHAPS_DONE or self.reason in _CODES


_CODES = frozenset(code.name for code in grpc.StatusCode)

Answer: TypeAlias = Held | Denied | Settled | Failed


class Repeats:
    """What a transport has repeated by itself. Most repeat nothing: there it stays empty."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()

    def add(self, key: str, failed: Failed) -> None:
        """Note an attempt that is about to be repeated; `key`: the operation's own."""
        self._reasons[failed.reason] += 1
        if failed.perhaps_done:
            self._lost[key] += 1

    def told(self) -> Counter[str]:
        """Return how often was repeated since the last time, by reason."""
        told, self._reasons = self._reasons, Counter()
        return told

    def lost(self, key: str) -> int:
        """Return how many answers to an operation were lost before the last attempt, and forget it."""
        return self._lost.pop(key, 0) if self._lost else 0


class Transport(Protocol):
    """Carries operations to the server."""

    repeats: Repeats

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        """Return the answer to each operation, in their order; never raises for what the server does."""
        ...

    async def close(self) -> None:
        """Let go of what it has opened beside the connections."""
        ...
