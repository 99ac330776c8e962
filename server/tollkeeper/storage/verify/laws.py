"""What the statements of verify are made of: the form of a law, and the numbers they may name."""

from __future__ import annotations

from typing import NamedTuple

from tollkeeper.core.account import SHARDS
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.recurring.recurring_grants import OF_PERIOD, ORIGIN_MASK
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import DAY_US, DENIED, HOUR_US, QUARTER_US, RELEASED, UsageKind


class Law(NamedTuple):
    """What must hold, by its number in SEMANTICS 10; `message` is filled in from a row of `broken`."""

    invariant: int
    message: str
    broken: str


WORDS: dict[str, int] = {
    "held": ReservationState.HELD,
    "committed": ReservationState.COMMITTED,
    "released": ReservationState.RELEASED,
    "expired": ReservationState.EXPIRED,
    "valid": Outcome.VALID_RESPONSE,
    "validation_failed": Outcome.VALIDATION_FAILED,
    "authentication_failed": Outcome.AUTHENTICATION_FAILED,
    "rate_limited": Outcome.RATE_LIMITED,
    "blocked": Outcome.BLOCKED,
    "server_error": Outcome.SERVER_ERROR,
    "cancelled": Outcome.CANCELLED,
    "redirected": Outcome.REDIRECTED,
    "last_outcome": max(Outcome),
    "grant": EntryKind.GRANT,
    "charge": EntryKind.CHARGE,
    "late_charge": EntryKind.LATE_CHARGE,
    "refund": EntryKind.REFUND,
    "grant_expired": EntryKind.GRANT_EXPIRED,
    "grant_voided": EntryKind.GRANT_VOIDED,
    "debit": EntryKind.DEBIT,
    "count_charged": UsageKind.CHARGED,
    "count_expired": UsageKind.EXPIRED,
    "count_refunded": UsageKind.REFUNDED,
    "count_released": RELEASED.start,
    "count_denied": DENIED.start,
    "hour_us": HOUR_US,
    "quarter_us": QUARTER_US,
    "day_hours": DAY_US // HOUR_US,
    "shard_mask": SHARDS - 1,
    "origin_mask": ORIGIN_MASK,
    "of_period": OF_PERIOD,
}
"""What a statement may name with a colon, besides `overdue_before_us`."""
