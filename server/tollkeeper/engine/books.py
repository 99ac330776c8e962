"""What every transaction past the lanes has: the time, and the records of administrative calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tollkeeper.core.administer import AdminRecord


class Books(Protocol):
    """One database transaction: committed when its block ends, rolled back when it raises."""

    now_us: int

    def admin_record(self, digest: bytes) -> AdminRecord | None:
        """Return the record of a request_id, if it has been used."""
        ...

    def keep_record(self, record: AdminRecord) -> None:
        """Write the record of a call."""
        ...
