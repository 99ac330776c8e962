"""How SQLite finds rows that were kept for long enough: reservations by their ids, and windows of limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tollkeeper.engine.ports import Ended, WindowKey
from tollkeeper.storage.rows.hot import ended_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_OLDEST = (
    "SELECT min((SELECT min(r.reservation_id) FROM reservation r WHERE r.shard = u.value)) "
    "FROM json_each(?) u"
)
_AGED = (
    "SELECT t.account_key, t.reservation_id, t.state, t.settled_us, t.expires_us "
    "FROM json_each(?) u CROSS JOIN reservation t "
    "WHERE t.shard = u.value AND t.reservation_id >= ? AND t.reservation_id < ? LIMIT ?"
)
_WINDOWS_AFTER = (
    "SELECT shard, account_key, limit_id, start_us FROM limit_window "
    "WHERE (shard, account_key, limit_id, start_us) > (?, ?, ?, ?) "
    "ORDER BY shard, account_key, limit_id, start_us LIMIT ?"
)
_FORGET_WINDOWS = (
    "DELETE FROM limit_window AS t WHERE (shard, account_key, limit_id, start_us) > (?, ?, ?, ?) "
    "AND (shard, account_key, limit_id, start_us) <= (?, ?, ?, ?) "
    "AND held = 0 AND used = used_moved_out AND over = over_moved_out AND (start_us < ? OR EXISTS "
    "(SELECT 1 FROM limit_window w WHERE w.shard = t.shard AND w.account_key = t.account_key "
    "AND w.limit_id = t.limit_id AND w.start_us > t.start_us))"
)


def oldest(driver: sqlite3.Connection, shards: Sequence[int]) -> int | None:
    """Return the least reservation id of these shards."""
    return driver.execute(_OLDEST, (json.dumps(list(shards)),)).fetchone()[0]


def aged(
    driver: sqlite3.Connection, shards: Sequence[int], first: int, end: int, limit: int
) -> list[Ended]:
    """Return reservations by their ids."""
    parameters = (json.dumps(list(shards)), first, end, limit)
    return list(map(ended_of, driver.execute(_AGED, parameters)))


def forget_windows(
    driver: sqlite3.Connection, after: WindowKey, began_before_us: int, limit: int
) -> WindowKey | None:
    """Delete the windows that are not needed among the next ones; see `ports.LaneStore`."""
    rows = driver.execute(_WINDOWS_AFTER, (*after, limit)).fetchall()
    if rows:
        driver.execute(_FORGET_WINDOWS, (*after, *rows[-1], began_before_us))
    return WindowKey(*rows[-1]) if len(rows) == limit else None
