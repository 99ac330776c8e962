"""Reads price lists. Shared by the lanes, which decide by them, and by those who only look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, case, func, select

from tollkeeper.core.answers.views import PricePage
from tollkeeper.core.pricing.price_lists import Price, PriceBook, PriceList, Unlisted
from tollkeeper.storage.rows.hot import charge_on_of
from tollkeeper.storage.schema.tables import endpoint, price, price_list

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tollkeeper.core.commands import ListPrices


EFFECTIVE_US = func.coalesce(price_list.c.named_effective_us, price_list.c.effective_us)
"""From when a list holds, in a statement on `price_list`."""

NAMED_EFFECTIVE_US = 253_402_300_799_999_999
"""The `effective_us` of a named list: past every clock, the last microsecond of 9999-12-31."""


def effective_columns(prices: PriceList) -> dict[str, object]:
    """Return the columns of a list that say what it is called and from when it holds."""
    if not prices.name:
        return {"effective_us": prices.effective_us, "name": "", "named_effective_us": None}
    return {
        "effective_us": NAMED_EFFECTIVE_US,
        "name": prices.name,
        "named_effective_us": prices.effective_us,
    }


def load_price_book(
    connection: Connection, now_us: int, known: PriceBook | None = None
) -> PriceBook:
    """Return the lists of every name in force at `now_us` and later; at most four statements.

    A list never changes, so those that are `known` are not read again.
    """
    begun = func.max(case((now_us >= EFFECTIVE_US, EFFECTIVE_US)))
    each = select(
        price_list.c.version,
        EFFECTIVE_US.label("effective_us"),
        begun.over(partition_by=price_list.c.name).label("begun_us"),
    ).subquery()
    wanted = connection.scalars(
        select(each.c.version).where(each.c.effective_us >= func.coalesce(each.c.begun_us, 0))
    ).all()
    newest = select(func.max(price_list.c.version), func.max(price_list.c.created_us))
    version, published_us = connection.execute(newest).one()
    lists = {prices.version: prices for prices in known.lists} if known else {}
    new = [each for each in wanted if each not in lists]
    if new:
        read = load_price_lists(connection, price_list.c.version.in_(new))
        lists.update((prices.version, prices) for prices in read)
    return PriceBook(
        (lists[each] for each in wanted), version=version or 0, published_us=published_us or 0
    )


def load_price_list(connection: Connection, version: int) -> PriceList | None:
    """Return one published list, or None where there is no such version."""
    return next(iter(load_price_lists(connection, price_list.c.version == version)), None)


def load_price_page(connection: Connection, query: ListPrices) -> PricePage:
    """Return lists newest first, those of a name (None: of all) and below version `before` (None: all)."""
    versions = select(price_list.c.version).order_by(price_list.c.version.desc())
    if query.before is not None:
        versions = versions.where(price_list.c.version < query.before)
    if query.name is not None:
        versions = versions.where(price_list.c.name == query.name)
    numbers = connection.scalars(versions.limit(query.page_size + 1)).all()
    page = numbers[: query.page_size]
    lists = load_price_lists(connection, price_list.c.version.in_(page)) if page else ()
    return PricePage(
        lists=tuple(reversed(lists)), next_before=page[-1] if len(numbers) > len(page) else 0
    )


def load_price_lists(
    connection: Connection, condition: ColumnElement[bool]
) -> tuple[PriceList, ...]:
    """Return the lists that meet a condition on `price_list`, oldest first; two statements."""
    heads = connection.execute(
        select(
            price_list.c.version,
            EFFECTIVE_US,
            price_list.c.unlisted,
            price_list.c.note,
            price_list.c.name,
        )
        .where(condition)
        .order_by(price_list.c.version)
    ).all()
    lines = connection.execute(
        select(
            price.c.version,
            endpoint.c.method,
            endpoint.c.path,
            price.c.credits,
            price.c.note,
            price.c.charge_on,
            price.c.endpoint_id,
        )
        .join_from(price, endpoint, endpoint.c.endpoint_id == price.c.endpoint_id)
        .join(price_list, price_list.c.version == price.c.version)
        .where(condition)
        .order_by(price.c.version, price.c.position)
    )
    prices: dict[int, list[Price]] = {version: [] for version, *_ in heads}
    for version, method, path, credits, note, charge_on, endpoint_id in lines:
        found = Price(method, path, credits, note, charge_on_of(charge_on), endpoint_id)
        prices[version].append(found)
    return tuple(
        PriceList(
            version=version,
            effective_us=effective_us,
            prices=prices[version],
            unlisted=Unlisted(unlisted),
            note=note,
            name=name,
        )
        for version, effective_us, unlisted, note, name in heads
    )
