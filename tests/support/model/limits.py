"""Limits of the reference model: which window a moment is in, and what counts in it.

Windows are found by looking for the moments at which the date changes, not by making dates into moments.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.model.paths import Price

Row = dict[str, Any]

WIDTHS_US = {"SECOND": 10**6, "MINUTE": 60 * 10**6}
LONGEST_US = 32 * 24 * 3600 * 10**6
KIND = ("name", "unit", "window", "method", "path", "time_zone")
FOREVER = 10**30


@lru_cache(maxsize=100_000)
def window_of(window: str, time_zone: str, at_us: int) -> tuple[int, int]:
    """Find the window that a moment is in, by the clocks of the zone; no zone moves the seconds or minutes of UTC."""
    if window in WIDTHS_US:
        begin = at_us // WIDTHS_US[window] * WIDTHS_US[window]
        return begin, begin + WIDTHS_US[window]
    now = _name(window, time_zone, at_us)
    low, high = at_us - LONGEST_US, at_us
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _name(window, time_zone, middle) == now else (middle, high)
    begin = high
    low, high = at_us, at_us + LONGEST_US
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _name(window, time_zone, middle) == now else (low, middle)
    return begin, high


def _name(window: str, time_zone: str, at_us: int) -> tuple[int, ...]:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    local = moment.astimezone(ZoneInfo(time_zone))
    day = local.date()
    if window == "HOUR":
        offset = local.utcoffset() or timedelta()
        return day.year, day.month, day.day, local.hour, offset // timedelta(seconds=1)
    if window == "MONTH":
        return day.year, day.month
    return tuple(day.isocalendar())[: 2 if window == "WEEK" else 3]


class Limits:
    """The limits of one account, and the windows that anything has counted in, by limit and beginning."""

    def __init__(self) -> None:
        self.all: list[Row] = []
        self.windows: dict[tuple[int, int], Row] = {}

    def replace(self, wanted: list[Row], next_id: int) -> int:
        """Put these in the place of all; who stays the same but for its maximum goes on counting."""
        before = self.all
        self.all = []
        for limit in wanted:
            same = [each for each in before if all(each[name] == limit[name] for name in KIND)]
            own_id = same[0]["id"] if same else next_id
            next_id += not same
            self.all.append(limit | {"id": own_id})
        return next_id

    def present(self, limit: Row, now_us: int) -> Row:
        """Show what counts in the window of a limit that contains now."""
        begin, end = window_of(limit["window"], limit["time_zone"], now_us)
        counted = self.windows.get((limit["id"], begin), {"used": 0, "held": 0, "over": 0})
        return counted | {"begin": begin, "end": end}

    def holds_any(self, now_us: int) -> bool:
        """Whether anything is held in a present window."""
        return any(self.present(limit, now_us)["held"] for limit in self.all)

    def refusal(self, price: Any, now_us: int) -> tuple[str, int | None] | None:
        """Find the limit that refuses for the longest, and how long that is."""
        worst: tuple[str, int] | None = None
        for limit, amount in self._that_count(price):
            now = self.present(limit, now_us)
            if not limit["enforce"] or now["used"] + now["held"] + amount <= limit["maximum"]:
                continue
            wait = FOREVER if amount > limit["maximum"] else now["end"] - now_us
            if worst is None or wait > worst[1]:
                worst = limit["name"], wait
        if worst is None:
            return None
        return worst[0], None if worst[1] == FOREVER else worst[1]

    def hold(self, price: Any, now_us: int) -> list[tuple[int, int, int, bool]]:
        """Count a hold in every limit that it falls under."""
        counted: list[tuple[int, int, int, bool]] = []
        for limit, amount in self._that_count(price):
            now = self.present(limit, now_us)
            over = now["used"] + now["held"] + amount > limit["maximum"]
            counted.append((limit["id"], now["begin"], amount, over))
            self.move(counted[-1:], "held", 1)
            self.windows[limit["id"], now["begin"]]["over"] += over
        return counted

    def move(self, counted: list[tuple[int, int, int, bool]], what: str, sign: int) -> None:
        """Add what a reservation counts for to one of the counters, or take it away."""
        for own_id, begin, amount, _ in counted:
            nothing = {"used": 0, "held": 0, "over": 0}
            self.windows.setdefault((own_id, begin), nothing)[what] += sign * amount

    def forget(
        self, counted: list[dict[tuple[int, int], Row]], before_us: int
    ) -> set[tuple[int, int]]:
        """Forget the windows in which none of these count, but for the latest of a limit; that when it is old."""
        live = {window for counts in counted for window, now in counts.items() if any(now.values())}
        latest = {
            own_id: max(begin for each, begin in self.windows if each == own_id)
            for own_id, _ in self.windows
        }
        forgotten = {
            (own_id, begin)
            for own_id, begin in self.windows
            if begin < latest[own_id] or begin < before_us - LONGEST_US
        } - live
        for window in forgotten:
            del self.windows[window]
        return forgotten

    def status(self, now_us: int) -> list[Row]:
        """Show each limit with its present window."""
        return [
            {name: value for name, value in limit.items() if name != "id"}
            | {
                name: value
                for name, value in self.present(limit, now_us).items()
                if name != "begin"
            }
            for limit in self.all
        ]

    def _that_count(self, price: Any) -> list[tuple[Row, int]]:
        return [
            (limit, price.credits if limit["unit"] == "CREDITS" else 1)
            for limit in self.all
            if not limit["path"]
            or _same_endpoint((limit["method"], limit["path"]), (price.method, price.path))
        ]


def _same_endpoint(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return Price(*one, 0).shape == Price(*other, 0).shape
