"""Reads price lists. Shared by the lanes, which decide by them, and by those who only look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, func, select

from tollkeeper.core.prices import Price, PriceBook, PriceList, Unlisted
from tollkeeper.core.views import PricePage
from tollkeeper.storage.rows import charge_on_of
from tollkeeper.storage.tables import endpoint, price, price_list

if TYPE_CHECKING:
    from sqlalchemy import Connection


def load_price_book(connection: Connection, now_us: int) -> PriceBook:
    """Return the lists in force at `now_us` and later; three statements."""
    begun = select(func.max(price_list.c.effective_us)).where(price_list.c.effective_us <= now_us)
    in_force_or_later = price_list.c.effective_us >= func.coalesce(begun.scalar_subquery(), 0)
    newest = select(func.max(price_list.c.version), func.max(price_list.c.created_us))
    version, published_us = connection.execute(newest).one()
    return PriceBook(
        load_price_lists(connection, in_force_or_later),
        version=version or 0,
        published_us=published_us or 0,
    )


def load_price_list(connection: Connection, version: int) -> PriceList | None:
    """Return one published list, or None where there is no such version."""
    return next(iter(load_price_lists(connection, price_list.c.version == version)), None)


def load_price_page(connection: Connection, *, page_size: int, before: int | None) -> PricePage:
    """Return lists newest first, those below version `before` (None: all)."""
    versions = select(price_list.c.version).order_by(price_list.c.version.desc())
    if before is not None:
        versions = versions.where(price_list.c.version < before)
    found = connection.scalars(versions.limit(page_size + 1)).all()
    page = found[:page_size]
    lists = load_price_lists(connection, price_list.c.version.in_(page)) if page else ()
    return PricePage(
        lists=tuple(reversed(lists)), next_before=page[-1] if len(found) > page_size else 0
    )


def load_price_lists(
    connection: Connection, condition: ColumnElement[bool]
) -> tuple[PriceList, ...]:
    """Return the lists that meet a condition on `price_list`, oldest first; two statements."""
    heads = connection.execute(
        select(
            price_list.c.version,
            price_list.c.effective_us,
            price_list.c.unlisted,
            price_list.c.note,
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
        )
        for version, effective_us, unlisted, note in heads
    )
