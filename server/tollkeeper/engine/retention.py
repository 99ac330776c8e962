"""Finds the reservations of a lane's shards whose retention time is over, oldest first, a few at a time.

There is no index on the time at which a reservation ended, since that column is updated. But ids rise with time, so a
round goes through the ids of all the shards at once, slice by slice, from the least one that there is up to those too
young to be due. (All shards at once: rows of one time lie together on PostgreSQL's pages.) What is met before its time,
such as a hold that lasted a day, is met again in the next round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.commands import MoveOut
from tollkeeper.core.retention import is_due
from tollkeeper.engine.ids import least_id
from tollkeeper.engine.ports import WindowPlace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.engine.ports import LaneStore
    from tollkeeper.engine.settings import EngineSettings

WINDOW_MAX_US = 32 * 86_400_000_000
"""Longer than any window of a limit lasts."""

_MILLISECOND_US = 1_000
_WIDTH_FIRST = 1 << 28  # ids of 64 ms
_GROWTH = 4
_SCANNED_MAX = 2_000
"""Reservations that one look reads: as many as one transaction can have made, all in one millisecond."""

_WINDOWS_AT_ONCE = 500
_BEFORE_ALL = WindowPlace(-1, 0, 0, 0)


class Found(NamedTuple):
    """What one look has found, and whether the round goes on."""

    commands: list[MoveOut]
    more: bool


class _Round(NamedTuple):
    """The ids that are still to be looked at, and the time at which the round began."""

    first: int
    end: int
    now_us: int


class OldReservations:
    """Where a lane has come to; forgotten with its worker, then the round begins anew."""

    def __init__(self, store: LaneStore, shards: Sequence[int], settings: EngineSettings) -> None:
        self._store = store
        self._shards = shards
        self._settings = settings
        self._round: _Round | None = None
        self._width = _WIDTH_FIRST
        self._windows = _BEFORE_ALL

    def look(self) -> Found:
        """Look at the next slice of a round, or begin one."""
        now = self._round or self._begun()
        if now is None:
            return Found([], more=False)
        batch = self._settings.move_out_batch
        end = min(now.first + self._width, now.end)
        ended = self._store.aged(self._shards, now.first, end, _SCANNED_MAX)
        self._width = self._width_for(len(ended))
        if len(ended) >= _SCANNED_MAX:  # not all of the slice: a narrower one
            self._round = now
            return Found([], more=True)
        due = sorted(
            each.reservation.reservation_id
            for each in ended
            if is_due(
                each.state,
                settled_us=each.settled_us,
                expires_us=each.expires_us,
                now_us=now.now_us,
                retention_us=self._settings.retention_us,
                late_window_us=self._settings.late_window_us,
            )
        )
        if len(due) > batch:
            end = due[batch]
        taken = set(due[:batch])
        names = [each.reservation for each in ended if each.reservation.reservation_id in taken]
        self._round = now._replace(first=end) if end < now.end else None
        return Found(list(map(MoveOut, names)), more=self._round is not None)

    def _begun(self) -> _Round | None:
        now_us, first = self._store.oldest(self._shards)
        end = least_id(now_us - self._settings.retention_us + _MILLISECOND_US)
        return None if first is None or first >= end else _Round(first, end, now_us)

    def _width_for(self, found: int) -> int:
        """Return the next width: wider where that was less than a batch, and narrower where it was too much to read.

        Not as wide as a batch, since what one transaction made lies in one millisecond, and then comes a gap.
        """
        if found >= _SCANNED_MAX:
            return max(1, self._width // _GROWTH)
        return self._width * _GROWTH if found < self._settings.move_out_batch // 2 else self._width

    def forget_windows(self) -> bool:
        """Look at the next windows of limits and delete those that nobody needs; say whether there are more."""
        now_us, _ = self._store.oldest(self._shards)
        place = self._store.forget_windows(
            self._shards,
            self._windows,
            now_us - self._settings.retention_us - WINDOW_MAX_US,
            _WINDOWS_AT_ONCE,
        )
        self._windows = place or _BEFORE_ALL
        return place is not None
