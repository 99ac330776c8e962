"""How a batch on PostgreSQL locks its accounts: it waits for most, and passes over those that others have locked.

An account that a foreign session keeps locked, such as an operator's, must not hold up the others of its lane. So a
batch waits for a moment only. Where that is in vain, the next attempt waits for none and finds out which are locked;
from then on these are locked only where that goes at once. Waiting goes in the order of the keys, and what is not
waited for can close no circle of sessions that wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.storage.lane import arrays
from tollkeeper.storage.lane import postgres_sql as sql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Cursor

    from tollkeeper.engine.ports import Needs
    from tollkeeper.storage.lane.pipeline import Answer
    from tollkeeper.storage.rows.written import Row


class AccountLocks:
    """Sends the statements of one batch, in the pipeline that is open; afterwards, their rows are to be had."""

    def __init__(
        self,
        execute: Callable[[bytes, Sequence[Any]], Answer | Cursor[Any]],
        needs: Needs,
        account_keys: Sequence[int],
    ) -> None:
        waited = [key for key in account_keys if key not in needs.locked] if needs.patient else []
        passed = [key for key in account_keys if key in needs.locked or not needs.patient]
        self._waited = execute(sql.LOCK_ACCOUNTS, (arrays.ints(waited),)) if waited else None
        self._passed = self._there = None
        if passed:
            self._passed = execute(sql.LOCK_FREE_ACCOUNTS, (arrays.ints(passed),))
            self._there = execute(sql.ACCOUNTS_THERE, (arrays.ints(passed),))
        self._rows: list[Row] | None = None

    def rows(self) -> list[Row]:
        """Return the rows of the accounts that are locked for this batch."""
        if self._rows is None:
            cursors = (each for each in (self._waited, self._passed) if each is not None)
            self._rows = [row for cursor in cursors for row in cursor.fetchall()]
        return self._rows

    def locked(self) -> set[int]:
        """Return the keys of the accounts that are there and that another session has locked."""
        if self._there is None:
            return set()
        return {row[0] for row in self._there.fetchall()} - {row[1] for row in self.rows()}
