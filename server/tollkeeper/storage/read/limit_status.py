"""Reads what counts in the present windows of an account's limits, as if everything due had been done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from tollkeeper.core.limits import Limit, LimitState, Window
from tollkeeper.storage.rows.limits import with_windows
from tollkeeper.storage.schema.tables import limit_window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Row

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
    latest = with_windows(account, _latest(connection, account))
    counted: dict[tuple[int, int], tuple[int, int]] = {}
    for each in due:
        used, held = counted.get((each.limit_id, each.start_us), (0, 0))
        counted[each.limit_id, each.start_us] = (used + each.used, held + each.held)
    present: list[tuple[Limit, Window]] = []
    for state in latest.limits:
        window = state.at(now_us)
        used, held = counted.get((state.limit.limit_id, window.start_us), (0, 0))
        present.append(
            (state.limit, window._replace(used=window.used + used, held=window.held + held))
        )
    return tuple(present)


def _latest(connection: Connection, account: Account) -> Iterator[Row[Any]]:
    """Yield the latest window of each limit, as the lanes find it."""
    ids = sorted(state.limit.limit_id for state in account.limits)
    other = limit_window.alias()
    newest = (
        select(func.max(other.c.start_us))
        .where(
            other.c.shard == limit_window.c.shard,
            other.c.account_key == limit_window.c.account_key,
            other.c.limit_id == limit_window.c.limit_id,
        )
        .scalar_subquery()
    )
    for index in range(0, len(ids), _LIMITS_AT_ONCE):
        yield from connection.execute(
            select(limit_window).where(
                limit_window.c.shard == account.key & 63,
                limit_window.c.account_key == account.key,
                limit_window.c.limit_id.in_(ids[index : index + _LIMITS_AT_ONCE]),
                limit_window.c.start_us == newest,
            )
        )
