"""The sums that the ledger must show, added up from the acknowledged answers.

One `Tally` for each generator; they add up. A charge's entry is known by a sum of hashes, which needs no memory
for each and does not depend on order: two journals with the same sum have the same entries.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

UNEXPECTED_KEPT = 20
_MARK_BITS = 64


def mark(reservation_id: str, priced_name: str, credits: int, *, late: bool) -> int:
    """Return what one charge adds to the sum of its account's journal."""
    text = f"{reservation_id} {priced_name} {credits} {late}"
    return int.from_bytes(blake2b(text.encode(), digest_size=_MARK_BITS // 8).digest(), "big")


def add_marks(one: int, other: int) -> int:
    """Add two sums of marks."""
    return (one + other) % 2**_MARK_BITS


@dataclass(slots=True)
class RequestCounts:
    """Requests of one account to one endpoint, by how they ended."""

    charged: int = 0
    """Late ones too."""
    late: int = 0
    released: int = 0
    expired: int = 0
    denied: int = 0

    def add(self, other: RequestCounts) -> None:
        """Add the counts of another generator."""
        self.charged += other.charged
        self.late += other.late
        self.released += other.released
        self.expired += other.expired
        self.denied += other.denied


@dataclass(slots=True)
class Tally:
    """Accounts and endpoints are numbers, as in the workload."""

    counts: dict[tuple[int, int], RequestCounts] = field(
        default_factory=dict[tuple[int, int], RequestCounts]
    )
    marks: dict[int, int] = field(default_factory=dict[int, int])
    """The sum of the marks of each account's charges."""
    lost_answers: Counter[int] = field(default_factory=Counter[int])
    """Authorize calls of each account whose answer was lost: each may have been counted as a denial."""
    unexpected: list[str] = field(default_factory=list[str])
    """Answers that the workload does not allow, the first few in words."""
    unexpected_count: int = 0
    unresolved: int = 0
    """Requests whose outcome was still unknown at the end."""
    resolved: int = 0
    """Requests whose answer was lost, and known after a repeat."""

    def of(self, account: int, endpoint: int) -> RequestCounts:
        """Return the counts to add to."""
        key = (account, endpoint)
        counts = self.counts.get(key)
        if counts is None:
            counts = self.counts[key] = RequestCounts()
        return counts

    def charge(self, account: int, endpoint: int, marked: int, *, late: bool) -> None:
        """Count an acknowledged charge."""
        counts = self.of(account, endpoint)
        counts.charged += 1
        counts.late += late
        self.marks[account] = add_marks(self.marks.get(account, 0), marked)

    def add_unexpected(self, what: str) -> None:
        """Remember an answer that the workload does not allow."""
        self.unexpected_count += 1
        if len(self.unexpected) < UNEXPECTED_KEPT:
            self.unexpected.append(what)

    def add(self, other: Tally) -> None:
        """Add the tally of another generator."""
        for (account, endpoint), counts in other.counts.items():
            self.of(account, endpoint).add(counts)
        for account, marked in other.marks.items():
            self.marks[account] = add_marks(self.marks.get(account, 0), marked)
        self.lost_answers += other.lost_answers
        self.unexpected_count += other.unexpected_count
        self.unexpected = (self.unexpected + other.unexpected)[:UNEXPECTED_KEPT]
        self.unresolved += other.unresolved
        self.resolved += other.resolved
