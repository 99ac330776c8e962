"""The limits of accounts and their windows, as columns and rows."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import shard_of
from tollkeeper.core.limits import (
    Counted,
    Limit,
    Limits,
    LimitState,
    LimitUnit,
    LimitWindow,
    Window,
    Windows,
    window_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.core.account import Account
    from tollkeeper.core.usage import MovedOutOfWindows, WindowCounts

    Row = Sequence[Any]

WINDOWS_MOVED_OUT = (
    ("used_moved_out", "over_moved_out"),
    ("shard", "account_key", "limit_id", "start_us"),
)
"""The columns that `moved_out_of_windows` gives: those that are added to, and those of the key."""


def limits_column(limits: Limits) -> str:
    """Return the column `limits` of an account."""
    return json.dumps([list(state.limit) for state in limits]) if limits else ""


@lru_cache(maxsize=4_096)
def limits_of(text: str) -> Limits:
    """Read the limits of an account, without their windows."""
    if not text:
        return ()
    return tuple(
        LimitState(
            Limit(
                limit_id,
                name,
                LimitUnit(unit),
                LimitWindow(window),
                maximum,
                method,
                path,
                time_zone,
                enforce,
            )
        )
        for (
            limit_id,
            name,
            unit,
            window,
            maximum,
            method,
            path,
            time_zone,
            enforce,
        ) in json.loads(text)
    )


def limits_wanted(accounts: dict[int, Account]) -> list[tuple[int, int]]:
    """Return the account key and id of every limit whose latest window is to be read."""
    return [
        (key, state.limit.limit_id) for key, account in accounts.items() for state in account.limits
    ]


def put_windows(accounts: dict[int, Account], rows: Iterable[Row]) -> dict[int, Account]:
    """Put the latest windows, rows of `limit_window`, into the accounts that they are of."""
    by_account: dict[int, list[Row]] = {}
    for row in rows:
        by_account.setdefault(row[1], []).append(row)
    return {
        key: with_windows(account, by_account[key]) if key in by_account else account
        for key, account in accounts.items()
    }


def with_windows(account: Account, rows: Iterable[Row]) -> Account:
    """Put the latest window of each limit, a row of `limit_window`, into the account."""
    latest = {row[2]: row for row in rows}
    return account._replace(
        limits=tuple(
            _with_window(state, latest.get(state.limit.limit_id)) for state in account.limits
        )
    )


def _with_window(state: LimitState, row: Row | None) -> LimitState:
    if row is None:
        return state
    limit, start_us = state.limit, row[3]
    _, end_us = window_at(limit.window, limit.time_zone, start_us)
    return LimitState(limit, Window(start_us, end_us, *row[4:7]))


def windows_column(windows: Windows) -> str | None:
    """Return the column `windows` of a reservation: NULL for none."""
    if not windows:
        return None
    return ",".join(
        [f"{limit_id}:{start}:{amount}:{int(over)}" for limit_id, start, amount, over in windows]
    )


def windows_of(text: str | None) -> Windows:
    """Read what a reservation counts in. Raises ValueError for a broken text."""
    if text is None:
        return ()
    parts = [[int(number) for number in part.split(":")] for part in text.split(",")]
    return tuple(
        Counted(limit_id, start_us, amount, bool(over))
        for limit_id, start_us, amount, over in parts
    )


def limits_update(account: Account) -> tuple[Any, ...]:
    """Return the column `limits`, and the key."""
    return limits_column(account.limits), shard_of(account.key), account.key


def window_rows(windows: WindowCounts) -> list[tuple[Any, ...]]:
    """Return the rows to add to the windows, in key order."""
    return sorted((shard_of(window[0]), *window, *counts) for window, counts in windows.items())


def moved_out_of_windows(windows: MovedOutOfWindows) -> list[tuple[Any, ...]]:
    """Return what to add to the windows as moved out, in key order; one that counts nothing may be gone."""
    return [
        (*counts, shard_of(window[0]), *window)
        for window, counts in sorted(windows.items())
        if any(counts)
    ]
