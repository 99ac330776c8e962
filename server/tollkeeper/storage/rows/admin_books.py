"""What every transaction past the lanes has in SQL: the time, and the records of administrative calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.storage.rows.admin import load_admin_record, write_admin_record

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tollkeeper.core.administer import AdminRecord


class SqlBooks:
    """See `engine/books.Books`."""

    def __init__(self, connection: Connection, now_us: int) -> None:
        self.now_us = now_us
        self._connection = connection

    def admin_record(self, digest: bytes) -> AdminRecord | None:
        """Return the record of a request_id, if it has been used."""
        return load_admin_record(self._connection, digest)

    def keep_record(self, record: AdminRecord) -> None:
        """Write the record of a call."""
        write_admin_record(self._connection, record, self.now_us)
