"""Finds the reservations of a lane's shards whose retention time is over, oldest first, a few at a time.

There is no index on the time at which a reservation ended, since that column is updated. But ids rise with time, so a
round goes through the ids of all the shards at once, slice by slice, from the least one that there is up to those too
young to be due. (All shards at once: rows of one time lie together on PostgreSQL's pages.) A slice is more than one
transaction moves, since to look for a row costs as much as to move it where few are looked for at a time. What is met
before its time, such as a hold that lasted a day, is met again in the next round.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.commands import MoveOut
from tollkeeper.core.limits import WINDOW_MAX_US
from tollkeeper.core.retention import due_at_us
from tollkeeper.engine.ids import least_id
from tollkeeper.engine.ports import WindowKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.engine.ports import Ended, LaneStore
    from tollkeeper.engine.settings import EngineSettings

_MILLISECOND_US = 1_000
_WIDTH_FIRST = 1 << 28  # ids of 64 ms
_GROWTH = 4
_SCANNED_MAX = 2_000
"""Reservations that one look reads: as many as one transaction can have made, all in one millisecond."""

_SCANNED_MIN = 250
"""Fewer than so many, and the next slice is wider."""

_WINDOWS_AT_ONCE = 500
_BEFORE_ALL = WindowKey(-1, 0, 0, 0)


class Found(NamedTuple):
    """What is to be moved out next, and how long the first of it has been due; 0 where the round is over."""

    commands: list[MoveOut]
    behind_us: int


class _Due(NamedTuple):
    command: MoveOut
    due_us: int


class _Round(NamedTuple):
    """The ids that are still to be looked at, and the time at which the round began."""

    first: int
    end: int
    now_us: int


class OldReservations:
    """Where a lane has come to; forgotten with its writer, then the round begins anew."""

    def __init__(self, store: LaneStore, shards: Sequence[int], settings: EngineSettings) -> None:
        self._store = store
        self._shards = shards
        self._settings = settings
        self._round: _Round | None = None
        self._width = _WIDTH_FIRST
        self._waiting: deque[_Due] = deque()
        self._behind_us = 1
        self._windows = _BEFORE_ALL

    def look(self) -> Found:
        """Return what to move out next, or else look at another slice, which is enough for one time."""
        now = self._round or self._begun()
        if now is None:
            return Found([], behind_us=0)
        self._round = now
        if not self._waiting:
            if now.first >= now.end:
                self._round = None
                return Found([], behind_us=0)
            self._look_on(now)
            return Found([], self._behind_us)
        self._behind_us = max(1, now.now_us - self._waiting[0].due_us)
        count = min(len(self._waiting), self._settings.move_out_batch)
        return Found([self._waiting.popleft().command for _ in range(count)], self._behind_us)

    def _look_on(self, now: _Round) -> None:
        """Find what is due in the next slice."""
        end = min(now.first + self._width, now.end)
        ended = self._store.aged(self._shards, now.first, end, _SCANNED_MAX)
        if len(ended) >= _SCANNED_MAX:  # not all of the slice: a narrower one
            self._width = max(1, self._width // _GROWTH)
            return
        if len(ended) < _SCANNED_MIN:
            # Not as wide as that takes: what one transaction made lies in one millisecond, and then comes a gap.
            self._width *= _GROWTH
        # An account's next to each other: the fewer accounts a transaction locks and counts for, the shorter it is.
        self._waiting.extend(sorted(self._due(ended, now.now_us)))
        self._round = now._replace(first=end)

    def _due(self, ended: Iterable[Ended], now_us: int) -> Iterator[_Due]:
        for reservation, state, settled_us, expires_us in ended:
            due_us = due_at_us(
                state,
                settled_us=settled_us,
                expires_us=expires_us,
                retention_us=self._settings.retention_us,
                late_window_us=self._settings.late_window_us,
            )
            if due_us is not None and due_us <= now_us:
                yield _Due(MoveOut(reservation), due_us)

    def _begun(self) -> _Round | None:
        now_us, first = self._store.oldest(self._shards)
        end = least_id(now_us - self._settings.retention_us + _MILLISECOND_US)
        return None if first is None or first >= end else _Round(first, end, now_us)

    def forget_windows(self) -> bool:
        """Look at the next windows of limits and delete those that are not needed; say whether there are more."""
        now_us, _ = self._store.oldest(self._shards)
        place = self._store.forget_windows(
            self._shards,
            self._windows,
            now_us - self._settings.retention_us - WINDOW_MAX_US,
            _WINDOWS_AT_ONCE,
        )
        self._windows = place or _BEFORE_ALL
        return place is not None
