"""What a serving process has done since it began, in plain numbers: read on demand, sent as they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.engine.histograms import Histogram, merged
from tollkeeper.engine.work import Work

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENTS_MAX = 50
"""Kinds of clients that are counted apart; all others are counted together."""


class EndedCall(NamedTuple):
    """How a call can end: what is counted."""

    kind: str
    """`unary`, `server_stream` or `bidi_stream`."""
    service: str
    method: str
    code: str


class Client(NamedTuple):
    """What calls: a library that is known, and `major.minor` of its version; see `OTHER_CLIENT`."""

    library: str
    version: str


OTHER_CLIENT = Client("other", "")
"""What stands for all clients that are not counted apart."""


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


class Backlog(NamedTuple):
    """What waits in a ledger at one moment. A time is None where nothing waits."""

    now_us: int
    """The moment, by the store's clock."""
    holds_open: int
    oldest_deadline_us: int | None
    """The first deadline of a hold that is open: past, if the sweep is behind."""
    oldest_event_us: int | None
    """When the oldest event was made that has no position yet."""
    deliveries_due: int
    """Deliveries to webhooks whose time has come, or has passed."""
    deliveries_dead: int
    """Deliveries that are not tried again."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of one process. All of them only rise, except what waits and what is in flight."""

    calls: Mapping[EndedCall, Histogram]
    """How long calls took until they ended, in seconds."""
    in_flight: int = 0
    watchers: int = 0
    lanes: tuple[LaneCounts, ...] = ()
    clients: Mapping[Client, int] = field(default_factory=dict[Client, int])
    """Calls by what made them; at most `CLIENTS_MAX` and `OTHER_CLIENT`."""
    work: Work = field(default_factory=Work)
    backlog: Backlog | None = None
    """None where this process does not look for it, or has not seen it yet."""
    mover_lag_s: float | None = None
    """By how much moving out is behind; None where this process does not move out."""

    def after(self, ended: Counts) -> Counts:
        """Return the counts of a process that goes on where others have ended."""
        lanes = zip_longest(self.lanes, ended.lanes, fillvalue=LaneCounts())
        return Counts(
            calls=added_calls(self.calls, ended.calls),
            in_flight=self.in_flight,
            watchers=self.watchers,
            lanes=tuple(ours.after(theirs) for ours, theirs in lanes),
            clients=added_clients(self.clients, ended.clients),
            work=self.work.plus(ended.work),
            backlog=self.backlog,
            mover_lag_s=self.mover_lag_s,
        )


def added_calls(
    first: Mapping[EndedCall, Histogram], second: Mapping[EndedCall, Histogram]
) -> dict[EndedCall, Histogram]:
    """Return the calls of both."""
    both = dict(first)
    for call, took in second.items():
        both[call] = merged(both[call], took) if call in both else took
    return both


def added_clients(first: Mapping[Client, int], second: Mapping[Client, int]) -> dict[Client, int]:
    """Return the calls of both; of the kinds of clients no more are told apart than `CLIENTS_MAX`."""
    both = Counter(first)
    for client, calls in second.items():
        both[client if client in both or len(both) < CLIENTS_MAX else OTHER_CLIENT] += calls
    return dict(both)


NOTHING = Counts({})
