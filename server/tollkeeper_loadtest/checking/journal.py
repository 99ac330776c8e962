"""Reads the whole journal of one account: its sums, and each entry that breaks a rule of journals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tollkeeper.v1 import admin_pb2
from tollkeeper_loadtest.checking.tally import add_marks, mark

if TYPE_CHECKING:
    from tollkeeper.cli.client import Ledger

PAGE_SIZE = 1_000
BROKEN_KEPT = 5

_Kind = admin_pb2.Entry.Kind


@dataclass(slots=True)
class JournalTotals:
    """What the entries come to; charges by endpoint, as the price list writes it."""

    entries: int = 0
    granted: int = 0
    settled: int = 0
    charges: Counter[str] = field(default_factory=Counter[str])
    late: Counter[str] = field(default_factory=Counter[str])
    marks: int = 0
    broken: list[str] = field(default_factory=list[str])

    @property
    def total(self) -> int:
        """All charges."""
        return sum(self.charges.values())

    def add(self, entry: admin_pb2.Entry) -> None:
        """Take in the next entry."""
        self.entries += 1
        if entry.sequence != self.entries:
            self._break(f"entry {self.entries} has the sequence {entry.sequence}")
        self.settled += entry.credits
        if entry.settled != self.settled:
            self._break(f"entry {entry.sequence} says settled {entry.settled}, not {self.settled}")
        if entry.kind == _Kind.KIND_GRANT:
            self.granted += entry.credits
        elif entry.kind in {_Kind.KIND_CHARGE, _Kind.KIND_LATE_CHARGE}:
            late = entry.kind == _Kind.KIND_LATE_CHARGE
            name = f"{entry.method} {entry.path}"
            self.charges[name] += 1
            self.late[name] += late
            marked = mark(entry.reservation_id, name, -entry.credits, late=late)
            self.marks = add_marks(self.marks, marked)
        else:
            self._break(f"entry {entry.sequence} is a {_Kind.Name(entry.kind)}")

    def _break(self, words: str) -> None:
        if len(self.broken) < BROKEN_KEPT:
            self.broken.append(words)


def read_journal(ledger: Ledger, account_id: str) -> JournalTotals:
    """Return what the whole journal of an account comes to."""
    journal = JournalTotals()
    request = admin_pb2.ListEntriesRequest(account_id=account_id, page_size=PAGE_SIZE)
    while True:
        page = ledger.call(ledger.admin.ListEntries, request)
        for entry in page.entries:
            journal.add(entry)
        if not page.next_page_token:
            return journal
        request.page_token = page.next_page_token
