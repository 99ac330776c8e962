"""Reads the counters of a period, added up by bucket, from as few rows as possible.

Of a bucket, whole UTC days are read from `usage_day` and the rest from `usage_hour`. What is alike
in neighbouring buckets is read together: a *strip* is the same part of each of a run of buckets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, Integer, cast, func, literal, select, union_all

from tollkeeper.core.usage import HOUR_US
from tollkeeper.storage.tables import account, usage_day, usage_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select, Table

    from tollkeeper.core.calendar import Period

_HOURS = 24
_STRIPS_MAX = 100
"""The most strips of one statement; SQLite takes 500."""


class Strip(NamedTuple):
    """`times` buckets from `bucket` on, each with `width` hours (or days) in turn from `first` on."""

    daily: bool
    first: int
    width: int
    times: int
    bucket: int

    @property
    def end(self) -> int:
        """The hour (or day) after the last."""
        return self.first + self.width * self.times

    @property
    def table(self) -> Table:
        """Where its counters are."""
        return usage_day if self.daily else usage_hour

    @property
    def at(self) -> Column[int]:
        """Their hour (or day)."""
        return usage_day.c.day if self.daily else usage_hour.c.hour


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
    table, at = strip.table, strip.at
    # Not grouped here: a database sees two parameters where we see one expression twice.
    bucket = literal(strip.bucket, Integer) + (at - strip.first) // strip.width
    return select(
        bucket.label("bucket"),
        table.c.endpoint_id,
        table.c.kind,
        table.c.requests,
        table.c.credits,
    ).where(at >= strip.first, at < strip.end)


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
    """Return the strips that make up a period: no hour of it is in two, and none is left out."""
    strips: list[Strip] = []
    bounds = [at_us // HOUR_US for at_us in (*period.starts_us, period.end_us)]
    for bucket, (start, end) in enumerate(pairwise(bounds)):
        for part in _parts(bucket, start, end):
            joined = _joined(strips[-1], part) if strips else None
            if joined is None:
                strips.append(part)
            else:
                strips[-1] = joined
    return strips


def _parts(bucket: int, start: int, end: int) -> Iterable[Strip]:
    """Yield the whole days of a bucket, and its hours before and after them."""
    first_day, last_day = -(-start // _HOURS), end // _HOURS
    if first_day >= last_day:
        yield Strip(daily=False, first=start, width=end - start, times=1, bucket=bucket)
        return
    if start < first_day * _HOURS:
        width = first_day * _HOURS - start
        yield Strip(daily=False, first=start, width=width, times=1, bucket=bucket)
    yield Strip(daily=True, first=first_day, width=last_day - first_day, times=1, bucket=bucket)
    if last_day * _HOURS < end:
        width = end - last_day * _HOURS
        yield Strip(daily=False, first=last_day * _HOURS, width=width, times=1, bucket=bucket)


def _joined(strip: Strip, part: Strip) -> Strip | None:
    follows = (
        strip.daily == part.daily
        and strip.width == part.width
        and strip.end == part.first
        and strip.bucket + strip.times == part.bucket
    )
    return strip._replace(times=strip.times + 1) if follows else None
