"""Reads the counters of a period, added up by bucket, from as few rows as possible.

Of a bucket, whole UTC days are read from `usage_day`, whole hours and the quarters before and after them from
`usage_hour`. What is alike in neighbouring buckets is read together: a *strip* is the same part of each of a run of
buckets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, Integer, cast, func, literal, select, union_all

from tollkeeper.core.usage import QUARTER_US, QUARTERS
from tollkeeper.storage.schema.tables import account
from tollkeeper.storage.schema.usage_tables import PARTS_OF_AN_HOUR, usage_day, usage_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select, Table

    from tollkeeper.core.answers.buckets import Period

_HOURS = 24
_HOURS_MAX = 25
"""The most hours of a day."""
_STRIPS_MAX = 100
"""The most strips of one statement; SQLite takes 500."""

_WHOLE = (0, QUARTERS)


class Strip(NamedTuple):
    """The same part of each of `times` buckets, from `bucket` on.

    Of the first, the `width` hours (or days) from `first` on; of each further one, those `stride` later. Of each hour,
    the quarters [from, to).
    """

    daily: bool
    first: int
    width: int
    bucket: int
    quarters: tuple[int, int] = _WHOLE
    times: int = 1
    stride: int = 0

    @property
    def end(self) -> int:
        """The hour (or day) after the last."""
        return self.first + self.stride * (self.times - 1) + self.width

    @property
    def table(self) -> Table:
        """Where its counters are."""
        return usage_day if self.daily else usage_hour

    @property
    def at(self) -> Column[int]:
        """Their hour (or day)."""
        return usage_day.c.day if self.daily else usage_hour.c.hour

    @property
    def inside(self) -> list[ColumnElement[bool]]:
        """The conditions that a counter is of this strip."""
        conditions = [self.at >= self.first, self.at < self.end]
        if self.times > 1 and self.stride != self.width:
            conditions.append((self.at - self.first) % self.stride < self.width)
        return conditions

    @property
    def counts(self) -> tuple[ColumnElement[int], ColumnElement[int]]:
        """What of a counter's requests and credits is of this strip."""
        return self._part(0), self._part(1)

    def _part(self, which: int) -> ColumnElement[int]:
        columns = [self.table.c[part[which]] for part in PARTS_OF_AN_HOUR if not self.daily]
        whole = self.table.c[PARTS_OF_AN_HOUR[0][which]]
        if self.quarters == _WHOLE:
            return whole
        begin, end = self.quarters
        if begin:
            return sum(columns[begin + 1 : end], start=columns[begin] + 0)
        # What is not of the other quarters is of the first.
        return whole - sum(columns[end + 1 :], start=columns[end] + 0)


class Counted(NamedTuple):
    """What was counted in one bucket, for one endpoint and kind."""

    bucket: int
    endpoint_id: int
    kind: int
    requests: int
    credits: int


def load_usage(
    connection: Connection, shard: int, account_key: int, period: Period
) -> Iterator[Counted]:
    """Yield what an account's counters of a period add up to; few statements, one for most periods."""
    for parts in _strips(period):
        yield from _added_up(
            connection,
            [
                counters_of(strip).where(table.c.shard == shard, table.c.account_key == account_key)
                for strip in parts
                for table in (strip.table,)
            ],
        )


def load_all_usage(connection: Connection, period: Period) -> Iterator[Counted]:
    """Yield what the counters of all accounts add up to, read account by account by their key."""
    for parts in _strips(period):
        yield from _added_up(
            connection,
            [
                counters_of(strip).join_from(account, strip.table, of_account(strip.table))
                for strip in parts
            ],
        )


def counters_of(strip: Strip) -> Select[int, int, int, int, int]:
    """Select the counters of a strip, of whatever account: bucket, endpoint, kind, requests, credits."""
    table = strip.table
    requests, credits = strip.counts
    # Not grouped here: a database sees two parameters where we see one expression twice.
    bucket = literal(strip.bucket, Integer) + (strip.at - strip.first) // (
        strip.stride or strip.width
    )
    return select(
        bucket.label("bucket"),
        table.c.endpoint_id,
        table.c.kind,
        requests.label("requests"),
        credits.label("credits"),
    ).where(*strip.inside)


def of_account(table: Table) -> ColumnElement[bool]:
    """Return the condition that joins an account with its counters.

    Added to zero, the account's key is no way into `account`: a database without statistics goes
    from the accounts to their counters, and never through all the counters there are.
    """
    return (table.c.shard == account.c.shard + 0) & (table.c.account_key == account.c.key + 0)


def _strips(period: Period) -> Iterator[list[Strip]]:
    strips = strips_of(period)
    for index in range(0, len(strips), _STRIPS_MAX):
        yield strips[index : index + _STRIPS_MAX]


def _added_up(
    connection: Connection, parts: Sequence[Select[int, int, int, int, int]]
) -> Iterator[Counted]:
    rows = union_all(*parts).subquery()
    keys = (rows.c.bucket, rows.c.endpoint_id, rows.c.kind)
    sums = [cast(func.sum(column), BigInteger) for column in (rows.c.requests, rows.c.credits)]
    for row in connection.execute(select(*keys, *sums).group_by(*keys)):
        yield Counted(*row)


def strips_of(period: Period) -> list[Strip]:
    """Return the strips that make up a period: no quarter of it is in two, and none is left out."""
    strips: list[Strip] = []
    latest: dict[tuple[bool, int, tuple[int, int]], int] = {}
    bounds = [at_us // QUARTER_US for at_us in (*period.starts_us, period.end_us)]
    for bucket, (start, end) in enumerate(pairwise(bounds)):
        for part in _parts(bucket, start, end):
            alike = (part.daily, part.width, part.quarters)
            index = latest.get(alike)
            joined = None if index is None else _joined(strips[index], part)
            if index is None or joined is None:
                latest[alike] = len(strips)
                strips.append(part)
            else:
                strips[index] = joined
    return strips


def _parts(bucket: int, start: int, end: int) -> Iterable[Strip]:
    """Yield the whole hours of a bucket, and its quarters before and after them."""
    first_hour, last_hour = -(-start // QUARTERS), end // QUARTERS
    if first_hour > last_hour:
        yield _quarters(bucket, last_hour, start % QUARTERS, end % QUARTERS)
        return
    if start % QUARTERS:
        yield _quarters(bucket, first_hour - 1, start % QUARTERS, QUARTERS)
    yield from _hours(bucket, first_hour, last_hour)
    if end % QUARTERS:
        yield _quarters(bucket, last_hour, 0, end % QUARTERS)


def _quarters(bucket: int, hour: int, begin: int, end: int) -> Strip:
    return Strip(daily=False, first=hour, width=1, bucket=bucket, quarters=(begin, end))


def _hours(bucket: int, start: int, end: int) -> Iterable[Strip]:
    """Yield the whole days of a run of hours, and the hours before and after them."""
    first_day, last_day = -(-start // _HOURS), end // _HOURS
    if first_day >= last_day:
        if start < end:
            yield Strip(daily=False, first=start, width=end - start, bucket=bucket)
        return
    if start < first_day * _HOURS:
        yield Strip(daily=False, first=start, width=first_day * _HOURS - start, bucket=bucket)
    yield Strip(daily=True, first=first_day, width=last_day - first_day, bucket=bucket)
    if last_day * _HOURS < end:
        width = end - last_day * _HOURS
        yield Strip(daily=False, first=last_day * _HOURS, width=width, bucket=bucket)


def _joined(strip: Strip, part: Strip) -> Strip | None:
    """Return the strip with the part of the next bucket, where that comes as long after as those before it."""
    stride = strip.stride or part.first - strip.first
    follows = (
        strip.bucket + strip.times == part.bucket
        and strip.first + stride * strip.times == part.first
        and stride >= strip.width
        # What lies between is read in vain: an hour of each day is worth it, one of each month is not.
        and (stride == strip.width or stride <= _HOURS_MAX)
    )
    return strip._replace(times=strip.times + 1, stride=stride) if follows else None
