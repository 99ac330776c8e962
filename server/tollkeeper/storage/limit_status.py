"""Reads what counts in the present windows of an account's limits, as if everything due had been done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from tollkeeper.core.limits import Limit, LimitState, Window, window_at
from tollkeeper.storage.tables import limit_window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from tollkeeper.core.account import Account
    from tollkeeper.core.limits import WindowCount

_LIMITS_AT_ONCE = 500


def with_present(account: Account, limits: Iterable[tuple[Limit, Window]]) -> Account:
    """Return the account with the windows that `load_limits` has found."""
    return account._replace(limits=tuple(LimitState(limit, window) for limit, window in limits))


def load_limits(
    connection: Connection, account: Account, due: Iterable[WindowCount], now_us: int
) -> tuple[tuple[Limit, Window], ...]:
    """Return each limit of an account with the window that contains now; `due` is what is not written yet."""
    limits = [state.limit for state in account.limits]
    present = {each.limit_id: window_at(each.window, each.time_zone, now_us) for each in limits}
    counted = {limit_id: [0, 0, 0] for limit_id in present}
    ids = sorted(present)
    for index in range(0, len(ids), _LIMITS_AT_ONCE):
        wanted = ids[index : index + _LIMITS_AT_ONCE]
        rows = connection.execute(
            select(limit_window).where(
                limit_window.c.shard == account.key & 63,
                limit_window.c.account_key == account.key,
                limit_window.c.limit_id.in_(wanted),
                # One probe a limit: each begins at a moment of its own.
                limit_window.c.start_us.in_(sorted({present[each][0] for each in wanted})),
            )
        )
        for row in rows:
            if row.start_us == present[row.limit_id][0]:
                counted[row.limit_id] = [row.used, row.held, row.over]
    for each in due:
        if each.limit_id in present and each.start_us == present[each.limit_id][0]:
            counted[each.limit_id][0] += each.used
            counted[each.limit_id][1] += each.held
    return tuple(
        (each, Window(*present[each.limit_id], *counted[each.limit_id])) for each in limits
    )
