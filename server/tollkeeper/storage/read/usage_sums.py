"""Adds up counters into the totals of a period, a bucket or an endpoint, and names the endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from tollkeeper.core.usage import UsageKind, UsageTotals
from tollkeeper.storage.read.usage import Counted
from tollkeeper.storage.schema.tables import endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

_NAMES_MAX = 1_000
"""The most endpoints whose names one statement asks for."""

Totals = list[int]
"""A UsageTotals to add to; a tuple is given out."""

COUNTED = {
    UsageKind.CHARGED: (("requests", "requests"), ("credits", "credits")),
    UsageKind.REFUNDED: (("refunded_credits", "credits"),),
    **{
        kind: ((kind.name.lower(), "requests"),)
        for kind in UsageKind
        if kind not in {UsageKind.CHARGED, UsageKind.REFUNDED}
    },
}
"""By kind: which fields of a UsageTotals it is counted in, each with what of a counter that is."""

_PLACES = {
    int(kind): [
        (UsageTotals._fields.index(field), Counted._fields.index(what)) for field, what in counted
    ]
    for kind, counted in COUNTED.items()
}


def no_usage() -> Totals:
    """Return totals to add to."""
    return [0] * len(UsageTotals._fields)


def add_usage(totals: Totals, counted: Counted) -> None:
    """Add what a counter says to the totals that it belongs in; what a newer server counts besides is left out."""
    for place, what in _PLACES.get(counted.kind, ()):
        totals[place] += counted[what]


def endpoint_names(
    connection: Connection, endpoint_ids: Sequence[int]
) -> Iterable[tuple[int, str, str]]:
    """Yield (endpoint id, method, path) of endpoints, as the price lists wrote them."""
    columns = (endpoint.c.endpoint_id, endpoint.c.method, endpoint.c.path)
    for index in range(0, len(endpoint_ids), _NAMES_MAX):
        wanted = endpoint_ids[index : index + _NAMES_MAX]
        rows = connection.execute(select(*columns).where(endpoint.c.endpoint_id.in_(wanted)))
        yield from (tuple(row) for row in rows)
