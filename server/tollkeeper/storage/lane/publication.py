"""The transaction of one PublishPrices, on either database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from tollkeeper.engine.ports import StoreError
from tollkeeper.storage.read.prices import effective_columns, load_price_book, load_price_list
from tollkeeper.storage.rows.admin import load_admin_record, write_admin_record
from tollkeeper.storage.rows.hot import charge_on_column
from tollkeeper.storage.schema import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from tollkeeper.core.administer import AdminRecord
    from tollkeeper.core.pricing.price_lists import Price, PriceBook, PriceList


class SqlPublication:
    """See `ports.Publication`. The caller has locked the price lists and commits."""

    def __init__(self, connection: Connection, now_us: int) -> None:
        self.now_us = now_us
        self._connection = connection

    def admin_record(self, digest: bytes) -> AdminRecord | None:
        """Return the record of a request_id, if it has been used."""
        return load_admin_record(self._connection, digest)

    def price_list(self, version: int) -> PriceList:
        """Return one published list."""
        prices = load_price_list(self._connection, version)
        if prices is None:
            raise StoreError(f"price list {version} is missing")
        return prices

    def price_book(self, now_us: int) -> PriceBook:
        """Return the lists in force at `now_us` and later."""
        return load_price_book(self._connection, now_us)

    def endpoint_ids(self, prices: Sequence[Price]) -> tuple[Price, ...]:
        """Return the prices with their endpoint ids, new ones registered."""
        endpoint = tables.endpoint
        ids = {
            (method, path): endpoint_id
            for endpoint_id, method, path in self._connection.execute(
                select(endpoint.c.endpoint_id, endpoint.c.method, endpoint.c.path)
            )
        }
        following = max(ids.values(), default=0) + 1
        new: list[dict[str, object]] = []
        for each in prices:
            if (each.method, each.path) not in ids:
                ids[each.method, each.path] = following
                new.append({"endpoint_id": following, "method": each.method, "path": each.path})
                following += 1
        if new:
            self._connection.execute(insert(endpoint), new)
        return tuple(each._replace(endpoint_id=ids[each.method, each.path]) for each in prices)

    def write(self, prices: PriceList, record: AdminRecord) -> None:
        """Write the list and the record."""
        run = self._connection.execute
        run(
            insert(tables.price_list).values(
                version=prices.version,
                **effective_columns(prices),
                unlisted=int(prices.unlisted),
                note=prices.note,
                created_us=self.now_us,
            )
        )
        rows = [
            {
                "version": prices.version,
                "position": position,
                "endpoint_id": each.endpoint_id,
                "credits": each.credits,
                "note": each.note,
                "charge_on": charge_on_column(each.charge_on),
            }
            for position, each in enumerate(prices.prices)
        ]
        if rows:
            run(insert(tables.price), rows)
        write_admin_record(self._connection, record, self.now_us)
