"""The records of admin calls, in transactions that are no batch of a lane: of publications and of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from tollkeeper.storage.rows import written
from tollkeeper.storage.rows.hot import admin_record_of
from tollkeeper.storage.schema.tables import admin_request

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tollkeeper.core.administer import AdminRecord


def load_admin_record(connection: Connection, digest: bytes) -> AdminRecord | None:
    """Return the record of a request_id, if it has been used."""
    request = admin_request.c
    columns = (
        request.digest,
        request.method,
        request.content,
        request.result,
        request.created_us,
    )
    row = connection.execute(select(*columns).where(request.digest == digest)).one_or_none()
    return None if row is None else admin_record_of(row)


def write_admin_record(connection: Connection, record: AdminRecord, now_us: int) -> None:
    """Write the record of a call."""
    names = [column.name for column in admin_request.columns]
    row = written.admin_row(record, now_us)
    connection.execute(insert(admin_request).values(dict(zip(names, row, strict=True))))
