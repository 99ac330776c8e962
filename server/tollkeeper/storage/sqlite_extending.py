"""Writes the deadlines of holds that were extended, on SQLite.

A row of `hold` has the deadline in its key: the batch has deleted the old row (`Writes.holds_ended`), this makes
the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.storage import tables, write_rows
from tollkeeper.storage.sqlite_sql import insert, update

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tollkeeper.core.reservation import Reservation

_HOLD = insert(tables.hold)
_UPDATE_DEADLINES = update(tables.reservation, *write_rows.DEADLINE_UPDATE)


def extend(driver: sqlite3.Connection, extended: Sequence[Reservation]) -> None:
    """Give reservations their new deadlines, and those that are still HELD their new rows of `hold`."""
    if extended:
        driver.executemany(_UPDATE_DEADLINES, list(map(write_rows.deadline_update, extended)))
        driver.executemany(_HOLD, write_rows.held_rows(extended))
