"""Price lists against the calls that published them, and endpoints against the lists that name them (6 and 10).

The record of a PublishPrices call has a digest of all prices, so each field of each price is held twice. Lists are
read one at a time.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tollkeeper.core.answers.views import Finding
from tollkeeper.core.pricing.price_lists import UNLISTED_ENDPOINT, UNLISTED_ENDPOINT_ID
from tollkeeper.storage.read.prices import NAMED_EFFECTIVE_US
from tollkeeper.storage.verify.reading import read_rows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from sqlalchemy import Connection, RowMapping

_CALLS = "SELECT content, result, created_us FROM admin_request WHERE method = 'PublishPrices'"
_LISTS = """
    SELECT price_list.version, price_list.effective_us, price_list.unlisted, price_list.note,
           price_list.created_us, price_list.name, price_list.named_effective_us, price.position,
           price.credits, price.note AS price_note, price.charge_on, price.endpoint_id,
           endpoint.method, endpoint.path
    FROM price_list
    LEFT JOIN price ON price.version = price_list.version
    LEFT JOIN endpoint ON endpoint.endpoint_id = price.endpoint_id
    ORDER BY price_list.version, price.position
"""
_ORPHANS = """
    SELECT DISTINCT price.version FROM price
    LEFT JOIN price_list ON price_list.version = price.version
    WHERE price_list.version IS NULL
"""
_UNNAMED = """
    SELECT endpoint.endpoint_id, endpoint.method, endpoint.path FROM endpoint
    LEFT JOIN (SELECT DISTINCT endpoint_id FROM price) AS listed
        ON listed.endpoint_id = endpoint.endpoint_id
    WHERE listed.endpoint_id IS NULL
"""
_FIRST_ENDPOINT = "SELECT method, path FROM endpoint WHERE endpoint_id = 1"


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield the price lists that are not as they were published, and the endpoints that no list names."""
    calls = dict(_calls(connection))
    lists = groupby(read_rows(connection, _LISTS), key=itemgetter("version"))
    for place, (version, each) in enumerate(lists, 1):
        for what in _wrong(list(each), calls.pop(version, None), place):
            yield Finding(6, f"price list {version}", what)
    for version in calls:
        yield Finding(6, f"price list {version}", "was published and is not there")
    for row in read_rows(connection, _ORPHANS):
        yield Finding(6, f"price list {row['version']}", "has prices and is not there")
    yield from _endpoints(connection)


def _calls(connection: Connection) -> Iterable[tuple[int, tuple[dict[str, Any], int]]]:
    """Yield the versions that were published, each with what the call said and when; not what cannot be read."""
    for row in read_rows(connection, _CALLS):
        try:
            content, version = json.loads(row["content"]), json.loads(row["result"])["version"]
        except (ValueError, TypeError, KeyError):
            continue
        yield version, (content, row["created_us"])


def _wrong(
    rows: Sequence[RowMapping], call: tuple[dict[str, Any], int] | None, place: int
) -> Iterable[str]:
    first = rows[0]
    if first["version"] != place:
        yield f"is the {place}. of the lists"
    if call is None:
        yield "was published by no call that is recorded"
        return
    content, at_us = call
    effective_us = content.get("prices.effective_time")
    effective_us = at_us if effective_us is None else effective_us
    name = content.get("prices.name") or ""
    named_us = effective_us if name else None
    said = {
        "created_us": at_us,
        "effective_us": NAMED_EFFECTIVE_US if name else effective_us,
        "named_effective_us": named_us,
        "name": name,
        "unlisted": content.get("prices.unlisted"),
        "note": content.get("prices.note"),
    }
    for field, value in said.items():
        if first[field] != value:
            yield f"has {field} {first[field]!r}, but was published with {value!r}"
    if _digest(rows) != content.get("prices.prices"):
        yield "has other prices than were published"


def _digest(rows: Sequence[RowMapping]) -> str:
    prices = [row for row in rows if row["position"] is not None]
    words = ", ".join(map(_words, prices))
    if [row["position"] for row in prices] != list(range(len(prices))):
        words = "in another order"
    return blake2b(f"[{words}]".encode(), digest_size=16).hexdigest()


def _words(row: RowMapping) -> str:
    """Return a price as the record's digest has it."""
    rule = tuple(row["charge_on"].split(",")) if row["charge_on"] else ()
    return (
        f"Price(method={row['method']!r}, path={row['path']!r}, credits={row['credits']},"
        f" note={row['price_note']!r}, charge_on={rule!r}, endpoint_id=0)"
    )


def _endpoints(connection: Connection) -> Iterable[Finding]:
    unlisted = [tuple(row.values()) for row in read_rows(connection, _FIRST_ENDPOINT)]
    if unlisted != [UNLISTED_ENDPOINT]:
        yield Finding(6, "endpoint 1", "is not that of all the unlisted")
    for row in read_rows(connection, _UNNAMED):
        if row["endpoint_id"] != UNLISTED_ENDPOINT_ID:
            name = f"{row['method']} {row['path']}"
            yield Finding(6, f"endpoint {row['endpoint_id']}", f"is {name}, which no list names")
