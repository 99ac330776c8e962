"""What recurring grants gave: one grant for each of their periods from the first to the latest, one after the other.

Each gives the same, but for the first of one that replaced another: that is what the record of the call says.

Accounts and the grants that recurring ones made are read side by side, one account at a time.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.answers.views import Finding
from tollkeeper.core.errors import Refused
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.recurring.recurring_grants import (
    NUMBER_MAX,
    RESERVED_LANE,
    Origin,
    id_of,
    origin_of,
)
from tollkeeper.storage.rows.recurring import recurring_columns, recurring_of
from tollkeeper.storage.verify.reading import account_id_of, read_rows, side_by_side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sqlalchemy import Connection, RowMapping

    from tollkeeper.core.recurring.recurring_grants import Recurring, RecurringGrant

_ACCOUNT = 0

_ACCOUNTS = """
    SELECT shard, key AS account_key, account_id, recurring, next_grant_us FROM account
    WHERE recurring <> '' OR next_grant_us <> 0 ORDER BY shard, key
"""
_GRANTED = f"""
    SELECT shard, account_key, grant_id, credits, expired, created_us, expires_us FROM credit_grant
    WHERE (grant_id >> 12) & {RESERVED_LANE} = {RESERVED_LANE}
      AND grant_id < {id_of(Origin(NUMBER_MAX + 1, 0, rolled_over=False))}
    ORDER BY shard, account_key, grant_id
"""


_REPLACED = "SELECT content, result FROM admin_request WHERE method = 'ReplaceRecurringGrant'"

_ZONES_CHANGE_US = 3 * 3_600 * 1_000_000
"""By so much the next beginning may be another by now, where a country has changed its time since it was set."""


class _Period(NamedTuple):
    """The grants of one period: its own, and what rolled over into it."""

    regular: RowMapping | None = None
    rolled: RowMapping | None = None


class _First(NamedTuple):
    """A first period that gave other credits than the others do: `given` instead of `credits`."""

    account_id: str
    number: int
    given: int
    credits: int


_Grants = dict[int, dict[int, _Period]]
"""Periods by the number of their recurring grant and their place."""


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield what is wrong with recurring grants, and with the grants that they made."""
    odd: list[_First] = []
    for (shard, key), each in side_by_side(connection, _ACCOUNTS, _GRANTED):
        account: RowMapping | None = None
        grants: _Grants = {}
        for _, table, row in each:
            if table == _ACCOUNT:
                account = row
            else:
                _add(grants, row)
        try:
            problems = list(_problems(account, grants, odd))
        except Refused as refused:  # of a time zone that there is not
            problems = [f"its recurring grants cannot be read: {refused}"]
        if problems:
            account_id = account_id_of(connection, shard, key)
            yield from (Finding(4, account_id, problem) for problem in problems)
    yield from _not_replaced(connection, odd)


def _not_replaced(connection: Connection, odd: list[_First]) -> Iterable[Finding]:
    """Yield the odd first periods that no record of a replacement accounts for."""
    unexplained = {(each.account_id, each.number): each for each in odd}
    for record in read_rows(connection, _REPLACED) if odd else ():
        try:
            account_id = json.loads(record["content"])["account_id"]
            result = json.loads(record["result"])
            made, given = (account_id, result["number"]), result["given"]
        except (ValueError, TypeError, KeyError):
            continue  # what cannot be read explains nothing
        if made in unexplained and unexplained[made].given == given:
            del unexplained[made]
    for each in unexplained.values():
        yield Finding(
            4,
            each.account_id,
            f"recurring grant {each.number} period 0 gave {each.given} credits instead of"
            f" {each.credits}, and no replacement accounts for it",
        )


def _add(grants: _Grants, row: RowMapping) -> None:
    origin = origin_of(row["grant_id"])
    if origin is None:
        return
    places = grants.setdefault(origin.number, {})
    period = places.get(origin.place, _Period())
    places[origin.place] = (
        period._replace(rolled=row) if origin.rolled_over else period._replace(regular=row)
    )


def _problems(account: RowMapping | None, grants: _Grants, odd: list[_First]) -> Iterable[str]:
    recurring: Recurring = ()
    if account is not None:
        try:
            recurring = recurring_of(account["recurring"])
        except (ValueError, TypeError):
            yield f"its recurring grants cannot be read: {account['recurring']}"
            return
        _, next_us = recurring_columns(recurring)
        if account["next_grant_us"] != next_us or list(recurring) != sorted(
            recurring, key=lambda each: each.due_order
        ):
            yield (
                f"the sweeper looks for its next period at {account['next_grant_us']}, which begins"
                f" at {next_us}"
            )
    known = {each.number: each for each in recurring}
    last = max(known, default=0)
    for number in sorted({*known, *grants}):
        name = f"recurring grant {number}"
        if number > last:
            yield f"{name} has grants and is not there"
            continue
        # One that has ended long ago is known by its grants alone.
        places = grants.get(number, {})
        yield from (f"{name} {what}" for what in _wrong(places, known.get(number)))
        first = places.get(0, _Period()).regular
        if account is not None and number in known and first is not None:
            given, full = first["credits"], known[number].credits
            if given != full:
                odd.append(_First(account["account_id"], number, given, full))


def _wrong(places: dict[int, _Period], known: RecurringGrant | None) -> Iterable[str]:
    granted = max(places, default=-1) + 1 if known is None else known.granted
    periods = [places.get(place, _Period()) for place in range(granted)]
    if len(places) > granted or any(each.regular is None for each in periods):
        yield f"has granted {granted} periods, but there are grants of {sorted(places)}"
        return
    if periods and periods[0].rolled is not None:
        yield "has rolled something over into its first period"
    for place, (before, after) in enumerate(pairwise(periods), start=1):
        yield from (f"period {place} {what}" for what in _wrong_after(before, after))
    if known is not None:
        yield from _unlike(periods, known)


def _wrong_after(before: _Period, after: _Period) -> Iterable[str]:
    lost = sum(each["expired"] for each in before if each is not None)
    if after.rolled is not None and after.rolled["credits"] > lost:
        yield f"has {after.rolled['credits']} credits that rolled over, of {lost} that expired"
    for one in before:
        for other in after:
            if one and other and one["expires_us"] != other["created_us"]:
                yield f"begins at {other['created_us']}, the one before it ends at {one['expires_us']}"


def _unlike(periods: list[_Period], known: RecurringGrant) -> Iterable[str]:
    for place, (regular, rolled) in enumerate(periods):
        # Of a first period that gave other credits, a replacement may be the reason: `_not_replaced` looks.
        if place and regular is not None and regular["credits"] != known.credits:
            yield f"period {place} gave {regular['credits']} credits instead of {known.credits}"
        if rolled is not None and rolled["credits"] > known.rollover_max:
            yield f"period {place} has more rolled over than {known.rollover_max}"
    begins_us = known.calendar.beginning(known.next_nth).at_us
    comes = known.next_us != NEVER_US
    if comes and (
        abs(known.next_us - begins_us) > _ZONES_CHANGE_US or known.next_us >= known.end_us
    ):
        yield f"has its next period at {known.next_us}, by its calendar it is {begins_us}"
    if not comes and begins_us + _ZONES_CHANGE_US < known.end_us:
        yield f"has no next period, by its calendar it is {begins_us}"
    latest = periods[-1].regular if periods else None
    if (
        latest is not None
        and not comes
        and abs(latest["expires_us"] - begins_us) > _ZONES_CHANGE_US
    ):
        yield f"has a latest grant that expires at {latest['expires_us']}, by its calendar at {begins_us}"
    if latest is not None and comes and latest["expires_us"] != known.next_us:
        yield f"has a latest grant that expires at {latest['expires_us']}, not at {known.next_us}"
