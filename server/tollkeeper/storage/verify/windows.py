"""Invariant 8 of SEMANTICS 10: what a window of a limit counts is what reservations count for in it.

Reservations that were moved out are in the window's own sums; a window in which nothing else counts may be gone.

Both tables are read side by side in the order of their accounts, one account at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.answers.views import Finding
from tollkeeper.core.reservation import ReservationState
from tollkeeper.storage.rows.limits import windows_of
from tollkeeper.storage.verify.reading import account_id_of, side_by_side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sqlalchemy import Connection, RowMapping

_WINDOW, _RESERVATION = range(2)

_WINDOWS = """
    SELECT shard, account_key, limit_id, start_us, used - used_moved_out AS used, held,
           over - over_moved_out AS over FROM limit_window
    ORDER BY shard, account_key
"""
_COUNTED = """
    SELECT shard, account_key, reservation_id, state, windows FROM reservation
    WHERE windows IS NOT NULL ORDER BY shard, account_key
"""

_NOTHING = (0, 0, 0)

_Counters = tuple[int, int, int]
_Windows = dict[tuple[int, int], _Counters]
"""(used, held, over) by limit id and beginning."""


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield the windows that count wrongly, and the reservations whose windows cannot be read."""
    for (shard, key), each in side_by_side(connection, _WINDOWS, _COUNTED):
        windows: _Windows = {}
        reservations: list[RowMapping] = []
        for _, table, row in each:
            if table == _WINDOW:
                counters = (row["used"], row["held"], row["over"])
                windows[row["limit_id"], row["start_us"]] = counters
            else:
                reservations.append(row)
        problems = list(_problems(windows, reservations))
        if problems:
            account_id = account_id_of(connection, shard, key)
            yield from (Finding(8, account_id, problem) for problem in problems)


def _problems(windows: _Windows, reservations: list[RowMapping]) -> Iterable[str]:
    counted: _Windows = {}
    for row in reservations:
        try:
            parts = windows_of(row["windows"])
        except ValueError:
            name = f"reservation {row['reservation_id']:x}"
            yield f"{name} counts in windows that cannot be read: {row['windows']}"
            continue
        for limit_id, start_us, amount, over in parts:
            used, held, overs = counted.get((limit_id, start_us), _NOTHING)
            counted[limit_id, start_us] = (
                used + amount * (row["state"] == ReservationState.COMMITTED),
                held + amount * (row["state"] == ReservationState.HELD),
                overs + over,
            )
    for window in sorted({*windows, *counted}):
        said, told = windows.get(window, _NOTHING), counted.get(window, _NOTHING)
        if said != told:
            limit_id, start_us = window
            yield (
                f"window {start_us} of limit {limit_id:x} says (used, held, over) {said} without what was "
                f"moved out, but reservations count for {told}"
            )
