"""What a serving process has done since it began, in plain numbers: read on demand, sent as they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class EndedCall(NamedTuple):
    """How a call can end: what is counted."""

    kind: str
    """`unary`, `server_stream` or `bidi_stream`."""
    service: str
    method: str
    code: str


@dataclass(frozen=True, slots=True)
class LaneCounts:
    """The counts of one lane."""

    waiting: int = 0
    """Operations that the writer has not been given; this one falls too."""
    batches: int = 0
    operations: int = 0
    losses: int = 0
    """How often the lane's writer was lost."""
    silent_s: float = 0.0
    """How long ago an answer of its writer last showed that the database is there; at most a moment while it is."""

    def after(self, ended: LaneCounts) -> LaneCounts:
        """Return the counts of a lane that goes on where another has ended."""
        return LaneCounts(
            waiting=self.waiting,
            batches=self.batches + ended.batches,
            operations=self.operations + ended.operations,
            losses=self.losses + ended.losses,
            silent_s=self.silent_s,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of one process. The counts of calls and lanes only rise, except that of waiting operations."""

    calls: Mapping[EndedCall, int]
    in_flight: int = 0
    watchers: int = 0
    lanes: tuple[LaneCounts, ...] = ()

    def after(self, ended: Counts) -> Counts:
        """Return the counts of a process that goes on where others have ended."""
        calls = Counter(self.calls)
        calls.update(ended.calls)
        lanes = zip_longest(self.lanes, ended.lanes, fillvalue=LaneCounts())
        return Counts(
            calls=calls,
            in_flight=self.in_flight,
            watchers=self.watchers,
            lanes=tuple(ours.after(theirs) for ours, theirs in lanes),
        )


NOTHING = Counts({})
