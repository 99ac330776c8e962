"""The rows of the reference model that belong to an account: grants and holds."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.model.paths import Price

Row = dict[str, Any]
Slice = tuple[int | None, int]  # a grant and its part; None is the credit line


@dataclass
class Grant:
    """Credits given to an account: remaining + held + consumed + expired + voided = credits, always."""

    id: int
    credits: int
    priority: int
    expires_us: int | None
    create_us: int
    note: str
    server_id: str
    remaining: int
    held: int = 0
    consumed: int = 0
    expired: int = 0
    voided: int = 0
    void: bool = False
    of: int = 0  # the recurring grant that it is of

    def burn_order(self) -> tuple[int, bool, int, int, str, int]:
        """Sort by priority, expiry (never last), creation, id."""
        never = self.expires_us is None
        ids = (self.server_id, self.id)
        return (self.priority, never, self.expires_us or 0, self.create_us, *ids)

    def is_open(self, now_us: int) -> bool:
        """Whether the grant was not voided and has not expired; at its very expiry it has."""
        return not self.void and (self.expires_us is None or now_us < self.expires_us)

    def row(self) -> Row:
        """Show the grant."""
        return {
            name: value for name, value in vars(self).items() if name not in {"server_id", "of"}
        }


@dataclass
class Hold:
    """A reservation, with the price it was made at and the slices that pay for it."""

    id: int | None
    request_id: str
    content: Row
    price: Price
    price_version: int
    create_us: int
    expire_us: int
    authorized_by: str = ""
    slices: list[Slice] = field(default_factory=list[Slice])
    state: str = "HELD"
    outcome: str | None = None
    late: bool = False
    settled_us: int = 0
    refunded: int = 0
    windows: list[tuple[int, int, int, bool]] = field(
        default_factory=list[tuple[int, int, int, bool]]
    )
    http_status: int = 0
    settled_by: str = ""
    charge_sequence: int = 0

    def over_us(self, late_window_us: int) -> int:
        """Tell from when on nothing can happen to it any more, but for a refund."""
        late_us = self.expire_us + late_window_us if self.state == "EXPIRED" else 0
        return max(self.settled_us, late_us)

    def counts(self) -> dict[tuple[int, int], Row]:
        """Tell what it counts for now, by window."""
        return {
            (own_id, begin): {
                "used": amount if self.state == "COMMITTED" else 0,
                "held": amount if self.state == "HELD" else 0,
                "over": int(over),
            }
            for own_id, begin, amount, over in self.windows
        }

    def answer(self) -> Row:
        """Show what Authorize answers with."""
        return {
            "reservation_id": self.id,
            "credits": self.price.credits,
            "price_version": self.price_version,
            "state": self.state,
            "create_us": self.create_us,
            "expire_us": self.expire_us,
        }

    def row(self) -> Row:
        """Show all of the reservation."""
        return self.answer() | {
            "request_id": self.request_id,
            "content": dict(self.content),
            "method": self.price.method,
            "path": self.price.path,
            "charge_on": self.price.charge_on,
            "outcome": self.outcome,
            "late": self.late,
            "slices": list(self.slices),
            "settled_us": self.settled_us,
            "refunded": self.refunded,
            "windows": list(self.windows),
            "authorized_by": self.authorized_by,
            "http_status": self.http_status,
            "settled_by": self.settled_by,
            "charge_sequence": self.charge_sequence,
        }
