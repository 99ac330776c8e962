"""What can be asked of an account's recurring grants. Every value is valid by the time it is here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollkeeper.core.content import Content
    from tollkeeper.core.recurring.periods import RecurringPeriod


@dataclass(frozen=True, slots=True)
class CreateRecurringGrant:
    """Give credits to an account at the beginning of every period. `anchor_us` is None for now, `end_us` for never."""

    account_id: str
    request_id: str
    credits: int
    period: RecurringPeriod
    anchor_us: int | None = None
    time_zone: str = "UTC"
    rollover_max: int = 0
    priority: int = 0
    note: str = ""
    end_us: int | None = None

    def content(self) -> Content:
        """See `core/content.py`."""
        return {
            "account_id": self.account_id,
            "credits": self.credits,
            "period": self.period,
            "anchor": self.anchor_us,
            "time_zone": self.time_zone,
            "rollover_max": self.rollover_max,
            "priority": self.priority,
            "note": self.note,
            "end_time": self.end_us,
        }


@dataclass(frozen=True, slots=True)
class EndRecurringGrant:
    """Let no period of a recurring grant begin any more. `end_us` is None for from now on."""

    account_id: str
    number: int
    request_id: str
    end_us: int | None = None

    def content(self) -> Content:
        """See `core/content.py`."""
        return {
            "account_id": self.account_id,
            "recurring_grant_id": str(self.number),
            "end_time": self.end_us,
        }


@unique
class When(IntEnum):
    """From when on a recurring grant replaces another; the numbers are the proto's."""

    NOW = 1
    NEXT_PERIOD = 2


@dataclass(frozen=True, slots=True)
class ReplaceRecurringGrant:
    """Let a recurring grant take the place of another. `period` is None for that of the one it replaces."""

    account_id: str
    number: int
    request_id: str
    credits: int
    period: RecurringPeriod | None = None
    rollover_max: int = 0
    priority: int = 0
    note: str = ""
    when: When = When.NOW

    def content(self) -> Content:
        """See `core/content.py`."""
        return {
            "account_id": self.account_id,
            "recurring_grant_id": str(self.number),
            "credits": self.credits,
            "period": self.period,
            "rollover_max": self.rollover_max,
            "priority": self.priority,
            "note": self.note,
            "when": self.when,
        }
