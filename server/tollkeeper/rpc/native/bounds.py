"""What one connection may make us keep, and do, at once and in the long run."""

from __future__ import annotations

HELD_MESSAGES_MAX = 4
"""Requests of the largest size that one connection may have in our memory; what is more is refused."""

HEADERS_BYTES_MAX = 16 * 1024

IDLE_BYTES_BURST = 64 * 1024
IDLE_BYTES_PER_S = 16 * 1024
"""Bytes beside requests and their fair share of frames: pings, settings, empty frames."""

RESETS_BURST = 1_000
RESETS_PER_S = 200
"""Calls given up as soon as they were begun, beyond those that were answered."""


class Bucket:
    """So much at once, and so much a second in the long run."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at_s = 0.0

    @property
    def empty(self) -> bool:
        """Whether more was taken than there was."""
        return self._left < 0

    def take(self, amount: float, now_s: float) -> bool:
        """Take some out, or put some back where it is below nothing; say whether there was enough."""
        filled = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._left = min(self._burst, filled - amount)
        self._at_s = now_s
        return self._left >= 0

    def give(self, amount: float) -> None:
        """Put some back, as much as there is room for."""
        self._left = min(self._burst, self._left + amount)
