"""Writes the deadlines of holds that were extended, on SQLite.

A row of `hold` has the deadline in its key: the batch has deleted the old row (`Writes.holds_ended`), this makes
the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.storage.lane.sqlite_sql import insert, update
from tollkeeper.storage.rows import written
from tollkeeper.storage.schema import tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tollkeeper.core.reservation import Reservation

_HOLD = insert(tables.hold)
_UPDATE_DEADLINES = update(tables.reservation, *written.DEADLINE_UPDATE)


def extend(driver: sqlite3.Connection, extended: Sequence[Reservation]) -> None:
    """Give reservations their new deadlines, and those that are still HELD their new rows of `hold`."""
    if extended:
        driver.executemany(_UPDATE_DEADLINES, list(map(written.deadline_update, extended)))
        driver.executemany(_HOLD, written.held_rows(extended))
