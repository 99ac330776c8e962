"""What one generator measures: a second of a phase, and the whole of it. Generators send both to their coordinator."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Second:
    """What one generator was answered in one second of a phase."""

    second: int
    requests: int = 0
    """That have come to their end: settled, left to expire, or denied."""
    pairs: int = 0
    """Authorized and settled."""
    operations: int = 0
    errors: int = 0
    denied: int = 0
    hdr: bytes = b""
    """Latencies of the operations."""


@dataclass(slots=True)
class Figures:
    """What one generator measured in a phase, known at its end."""

    seconds: float
    """From the first request to the last answer."""
    sent: int = 0
    """Requests begun."""
    unsent: int = 0
    """Requests of an open loop that were due and never begun."""
    busy: float = 0.0
    """The share of one processor that the generator used."""
    processor_s: float = 0.0
    """Of the generator's whole process."""
    own_s: float = 0.0
    """What of it was the load test's own work; 0 where too little was sent to tell."""
    requests: int = 0
    pairs: int = 0
    operations: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    denials: Counter[str] = field(default_factory=Counter[str])
    repeats: Counter[str] = field(default_factory=Counter[str])
    """What the transport repeated by itself, by reason."""
    hdr: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Latencies by what they are of."""
