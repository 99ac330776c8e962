"""What the lanes of a process have done, in numbers: denials, credits, and how long it took.

A lane counts what it gives its writer. The writer counts what its transactions came to, and tells it at every sweep:
answers to callers carry none of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum, unique

from tollkeeper.core.usage import DenialReason
from tollkeeper.engine.histograms import CALL_S, OPERATIONS, TRANSACTION_S, Histogram


@unique
class Flow(StrEnum):
    """What becomes of credits, from the hold on."""

    HELD = "held"
    CHARGED = "charged"
    """Also late, after the hold has expired."""
    RELEASED = "released"
    """Held, and given back by a commit or a release."""
    EXPIRED = "expired"
    """Held, and given back at the deadline."""
    REFUNDED = "refunded"


@dataclass(slots=True)
class Work:
    """Numbers that only rise. Times are in seconds."""

    denials: Counter[DenialReason] = field(default_factory=Counter[DenialReason])
    credits: Counter[Flow] = field(default_factory=Counter[Flow])
    batch_sizes: Histogram = field(default_factory=lambda: Histogram(OPERATIONS))
    """Operations that a lane gave its writer at once."""
    queue_waits: Histogram = field(default_factory=lambda: Histogram(CALL_S))
    """How long each operation waited until a writer was given it."""
    lock_waits: Histogram = field(default_factory=lambda: Histogram(TRANSACTION_S))
    """From the beginning of a transaction until the database gave it all of its locks."""
    database_times: Histogram = field(default_factory=lambda: Histogram(TRANSACTION_S))
    """A transaction without the time that its decisions took."""
    commit_times: Histogram = field(default_factory=lambda: Histogram(TRANSACTION_S))
    """From the last decision of a transaction until what it wrote was durable."""

    def add(self, other: Work) -> None:
        """Add what was done elsewhere, or later."""
        self.denials.update(other.denials)
        self.credits.update(other.credits)
        self.batch_sizes.merge(other.batch_sizes)
        self.queue_waits.merge(other.queue_waits)
        self.lock_waits.merge(other.lock_waits)
        self.database_times.merge(other.database_times)
        self.commit_times.merge(other.commit_times)

    def plus(self, other: Work) -> Work:
        """Return both together."""
        both = Work()
        both.add(self)
        both.add(other)
        return both
