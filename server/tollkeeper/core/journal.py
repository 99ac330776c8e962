"""The journal: one immutable entry for every change of an account's settled balance."""

from __future__ import annotations

from enum import IntEnum, unique
from typing import NamedTuple


@unique
class EntryKind(IntEnum):
    """What an entry records; the numbers are the proto's."""

    GRANT = 1
    CHARGE = 2
    LATE_CHARGE = 3
    REFUND = 4
    GRANT_EXPIRED = 5
    GRANT_VOIDED = 6
    DEBIT = 7


CHARGES = (EntryKind.CHARGE, EntryKind.LATE_CHARGE)


class Entry(NamedTuple):
    """One line of an account's journal: `sequence` rises by one, `settled` is the balance after it.

    Zero stands for "none" in `reservation_id`, `grant_id`, `endpoint_id` and `price_version`.
    """

    account_key: int
    sequence: int
    kind: EntryKind
    credits: int
    settled: int
    created_us: int
    reservation_id: int = 0
    grant_id: int = 0
    endpoint_id: int = 0
    price_version: int = 0
    note: str = ""
