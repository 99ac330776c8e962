"""Invariant 6 of SEMANTICS 10 for prices: what is frozen on a reservation is what the account's list said then.

And that the lists which accounts are on can be read, and exist. Assignments that have ended are forgotten, so of an
account that was moved, only what it holds by now can be looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from tollkeeper.core.answers.views import Finding
from tollkeeper.core.pricing.assignments import Pricing, present
from tollkeeper.storage.rows.pricing import pricing_of
from tollkeeper.storage.verify.laws import Law
from tollkeeper.storage.verify.reading import account_id_of, read_rows, side_by_side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sqlalchemy import Connection, RowMapping

PRICES = (
    Law(
        6,
        "reservation {reservation_id:x} costs {credits} by price list version {price_version},"
        " which lists endpoint {endpoint_id} at {listed}, or by another rule, or holds from later on",
        # The inner SELECT is made once: without it, SQLite would look through a list for each reservation.
        """
        SELECT reservation.account_key, account.account_id, reservation.reservation_id,
               reservation.credits, reservation.price_version, reservation.endpoint_id,
               listed.credits AS listed
        FROM reservation
        LEFT JOIN (
            SELECT price.version, price.endpoint_id, max(price.credits) AS credits,
                   max(coalesce(price.charge_on, '')) AS charge_on,
                   max(coalesce(price_list.named_effective_us, price_list.effective_us)) AS since_us
            FROM price JOIN price_list ON price_list.version = price.version
            GROUP BY price.version, price.endpoint_id
        ) AS listed ON listed.version = reservation.price_version
            AND listed.endpoint_id = reservation.endpoint_id
        LEFT JOIN account
            ON account.shard = reservation.shard AND account.key = reservation.account_key
        WHERE listed.credits IS NULL OR listed.credits <> reservation.credits
           OR listed.charge_on <> coalesce(reservation.charge_on, '')
           OR listed.since_us > reservation.created_us
        """,
    ),
)

_LISTS = """
    SELECT name, coalesce(named_effective_us, effective_us) AS effective_us FROM price_list
"""
_PRICED = """
    SELECT shard, key AS account_key, pricing FROM account WHERE pricing <> ''
    ORDER BY shard, key
"""
_HELD = """
    SELECT reservation.shard, reservation.account_key, reservation.reservation_id,
           reservation.created_us, price_list.name
    FROM reservation
    JOIN account ON account.shard = reservation.shard AND account.key = reservation.account_key
        AND account.pricing <> ''
    JOIN price_list ON price_list.version = reservation.price_version
    ORDER BY reservation.shard, reservation.account_key
"""
_ACCOUNT = 0


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield the accounts whose price lists are none, and the reservations that were priced by another list."""
    begins: dict[str, int] = {}
    for row in read_rows(connection, _LISTS):
        name, at_us = row["name"], row["effective_us"]
        begins[name] = min(at_us, begins.get(name, at_us))
    for (shard, key), each in side_by_side(connection, _PRICED, _HELD):
        pricing: Pricing = ()
        problems: list[tuple[int, str]] = []
        for _, table, row in each:
            if table == _ACCOUNT:
                try:
                    pricing = pricing_of(row["pricing"])
                except (ValueError, TypeError):
                    problems.append((10, f"its price lists cannot be read: {row['pricing']}"))
                problems += ((10, what) for what in _wrong(pricing, begins))
            elif pricing and (what := _mispriced(pricing, row)):
                problems.append((6, what))
        if problems:
            account_id = account_id_of(connection, shard, key)
            yield from (Finding(number, account_id, what) for number, what in problems)


def _wrong(pricing: Pricing, begins: dict[str, int]) -> Iterable[str]:
    for name, at_us in pricing:
        if name and begins.get(name, at_us + 1) > at_us:
            yield f"it is on price list {name} from {at_us} on, when none of that name is in force"
    moments = [each.effective_us for each in pricing[1:]]
    if moments != sorted(set(moments)):
        yield f"the moments at which its price lists begin do not rise: {moments}"


def _mispriced(pricing: Pricing, row: RowMapping) -> str | None:
    """Say what is wrong with a reservation that was made while what is known of the account's lists held."""
    at_us = row["created_us"]
    moments = [each.effective_us for each in pricing]
    # Of the very moment of a change, both lists may have held: one before it in the batch, one after.
    if bisect_right(moments, at_us) == 0 or at_us in moments:
        return None
    name = present(pricing, at_us).name
    if name == row["name"]:
        return None
    lists = [
        f"price list {each}" if each else "the default price list" for each in (row["name"], name)
    ]
    return f"reservation {row['reservation_id']:x} was priced by {lists[0]}, but the account was on {lists[1]}"
