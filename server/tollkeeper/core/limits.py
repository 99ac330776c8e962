"""Limits: caps on what an account may hold and consume in a window of the calendar, counted apart from its balance.

A request counts in every limit that it falls under, or in none; held and consumed count alike. Nothing resets by a job:
the window that contains now is computed, and counters of an earlier one are no longer looked at. A limit in shadow
(`enforce` is False) counts and refuses nothing; `over` tells how often it would have.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import IntEnum, unique
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.calendar.zones import day_of, first_instant, hour_of, zone_of
from tollkeeper.core.pricing.price_lists import Price

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from zoneinfo import ZoneInfo

LIMITS_MAX = 1_000
"""The most limits of one account."""

WINDOW_MAX_US = 32 * 86_400_000_000
"""Longer than any window lasts."""


@unique
class LimitUnit(IntEnum):
    """What a limit counts; the numbers are the proto's."""

    CREDITS = 1
    REQUESTS = 2


@unique
class LimitWindow(IntEnum):
    """How long a limit counts before it begins anew; the numbers are the proto's."""

    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6


_UTC = "UTC"
_HOUR_US = 3_600_000_000
_FIXED_US = {
    # No zone's seconds or minutes are others than those of UTC.
    LimitWindow.SECOND: 1_000_000,
    LimitWindow.MINUTE: 60_000_000,
}
_ONE_DAY = timedelta(days=1)


class Limit(NamedTuple):
    """A cap. `limit_id` is new whenever anything but `maximum` and `enforce` changes: it then counts from zero.

    `method` and `path` name one endpoint as the price list writes it, both empty for every priced one.
    """

    limit_id: int
    name: str
    unit: LimitUnit
    window: LimitWindow
    maximum: int
    method: str
    path: str
    time_zone: str
    enforce: bool

    @property
    def kind(self) -> tuple[object, ...]:
        """What must stay the same for the limit to go on counting."""
        return (self.name, self.unit, self.window, self.method, self.path, self.time_zone)


class Window(NamedTuple):
    """The counters of one window, [start_us, end_us): consumed, held, and how many requests went over the maximum."""

    start_us: int
    end_us: int
    used: int = 0
    held: int = 0
    over: int = 0


class LimitState(NamedTuple):
    """A limit, and the latest of its windows that anything counted in; None where nothing has."""

    limit: Limit
    latest: Window | None = None

    def at(self, now_us: int) -> Window:
        """Return the window that contains now. One that begins later is kept: then the clock was set back."""
        latest = self.latest
        if latest is not None and now_us < latest.end_us:
            return latest
        return Window(*window_at(self.limit.window, self.limit.time_zone, now_us))


class Counted(NamedTuple):
    """What a reservation counts for in one window; `over` where it went past the maximum (in shadow)."""

    limit_id: int
    start_us: int
    amount: int
    over: bool


class WindowCount(NamedTuple):
    """One change of the counters of one window."""

    account_key: int
    limit_id: int
    start_us: int
    used: int
    held: int
    over: int


class Exceeded(NamedTuple):
    """Why a limit refuses; `retry_us` is when its window ends, None where the maximum can never be met."""

    limit: Limit
    amount: int
    used: int
    retry_us: int | None


Limits = tuple[LimitState, ...]
Windows = tuple[Counted, ...]


def count(limits: Limits, price: Price, now_us: int) -> Exceeded | tuple[Limits, Windows]:
    """Count one request in every limit that it falls under, or say which limit refuses it.

    Of several that refuse, the one that does so for the longest; of those, the first.
    """
    after: list[LimitState] = []
    counted: list[Counted] = []
    refusals: list[Exceeded] = []
    for state in limits:
        limit = state.limit
        if limit.path and _shape(limit.method, limit.path) != _shape(price.method, price.path):
            after.append(state)
            continue
        window = state.at(now_us)
        amount = price.credits if limit.unit is LimitUnit.CREDITS else 1
        is_over = window.used + window.held + amount > limit.maximum
        if is_over and limit.enforce:
            never = amount > limit.maximum
            used = window.used + window.held
            refusals.append(Exceeded(limit, amount, used, None if never else window.end_us))
        counted.append(Counted(limit.limit_id, window.start_us, amount, is_over))
        moved = window._replace(held=window.held + amount, over=window.over + is_over)
        after.append(LimitState(limit, moved))
    if refusals:
        return max(refusals, key=_how_long)
    return tuple(after), tuple(counted)


def settled(limits: Limits, windows: Windows, *, used: int, held: int) -> Limits:
    """Return the limits after what a reservation counts for has moved; `used` and `held` are -1, 0 or 1 of it."""
    counted = {(each.limit_id, each.start_us): each.amount for each in windows}
    after: list[LimitState] = []
    for state in limits:
        window = state.latest
        amount = counted.get((state.limit.limit_id, window.start_us), 0) if window else 0
        if window is None or not amount:
            after.append(state)
            continue
        moved = window._replace(used=window.used + used * amount, held=window.held + held * amount)
        after.append(LimitState(state.limit, moved))
    return tuple(after)


def counts(
    account_key: int, windows: Windows, *, used: int, held: int, first: bool = False
) -> tuple[WindowCount, ...]:
    """Return the changes of counters; `first` when the reservation is made, and counts as over where it was."""
    return tuple(
        WindowCount(
            account_key,
            each.limit_id,
            each.start_us,
            used * each.amount,
            held * each.amount,
            int(first and each.over),
        )
        for each in windows
    )


def replaced(limits: Limits, wanted: Iterable[Limit], new_ids: Iterable[int]) -> Limits:
    """Return the account's limits as they are wanted; those of a kind that is there already go on counting."""
    known = {state.limit.kind: state for state in limits}
    after: list[LimitState] = []
    for limit, new_id in zip(wanted, new_ids, strict=False):
        state = known.get(limit.kind)
        if state is None:
            after.append(LimitState(limit._replace(limit_id=new_id)))
        else:
            after.append(LimitState(limit._replace(limit_id=state.limit.limit_id), state.latest))
    return tuple(after)


def window_at(window: LimitWindow, time_zone: str, at_us: int) -> tuple[int, int]:
    """Return the beginning and the end of the window that contains an instant.

    Hours, days, weeks (from Monday) and months are those of the zone's calendar.
    """
    width_us = (
        _HOUR_US if window is LimitWindow.HOUR and time_zone == _UTC else _FIXED_US.get(window)
    )
    if width_us is not None:
        start_us = at_us - at_us % width_us
        return start_us, start_us + width_us
    zone = zone_of(time_zone)
    if window is LimitWindow.HOUR:
        return hour_of(at_us, zone)
    first, following = _days(window, day_of(at_us, zone))
    return first_instant(first, zone), _after(following, zone, at_us)


def _days(window: LimitWindow, day: date) -> tuple[date, date]:
    if window is LimitWindow.DAY:
        return day, day + _ONE_DAY
    if window is LimitWindow.WEEK:
        monday = day - day.weekday() * _ONE_DAY
        return monday, monday + 7 * _ONE_DAY
    first = day.replace(day=1)
    return first, (first + 31 * _ONE_DAY).replace(day=1)


def _after(day: date, zone: ZoneInfo, at_us: int) -> int:
    """Return when a day begins; the one after it where a zone has skipped it."""
    end_us = first_instant(day, zone)
    return end_us if end_us > at_us else first_instant(day + _ONE_DAY, zone)


def _how_long(exceeded: Exceeded) -> float:
    return float("inf") if exceeded.retry_us is None else exceeded.retry_us


@lru_cache(maxsize=4_096)
def _shape(method: str, path: str) -> Hashable:
    return Price(method, path, 0).shape
