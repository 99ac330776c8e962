"""Adds up counters into the totals of a period, a bucket or an endpoint, and names the endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from tollkeeper.core.usage import DENIED, RELEASED, UsageKind
from tollkeeper.core.views import UsageTotals
from tollkeeper.storage.tables import endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from tollkeeper.storage.usage_rows import Counted

_NAMES_MAX = 1_000
"""The most endpoints whose names one statement asks for."""

# The places of a UsageTotals; a list of them is added to, a tuple is given out.
_REQUESTS, _CREDITS, _RELEASED, _EXPIRED, _DENIED, _REFUNDED = range(6)
Totals = list[int]


def no_usage() -> Totals:
    """Return totals to add to."""
    return [0] * len(UsageTotals._fields)


def add_usage(totals: Totals, counted: Counted) -> None:
    """Add what a counter says to the totals that it belongs in."""
    kind = counted.kind
    if kind == UsageKind.CHARGED:
        totals[_REQUESTS] += counted.requests
        totals[_CREDITS] += counted.credits
    elif kind == UsageKind.EXPIRED:
        totals[_EXPIRED] += counted.requests
    elif kind == UsageKind.REFUNDED:
        totals[_REFUNDED] += counted.credits
    elif kind in RELEASED:
        totals[_RELEASED] += counted.requests
    elif kind in DENIED:
        totals[_DENIED] += counted.requests


def endpoint_names(
    connection: Connection, endpoint_ids: Sequence[int]
) -> Iterable[tuple[int, str, str]]:
    """Yield (endpoint id, method, path) of endpoints, as the price lists wrote them."""
    columns = (endpoint.c.endpoint_id, endpoint.c.method, endpoint.c.path)
    for index in range(0, len(endpoint_ids), _NAMES_MAX):
        wanted = endpoint_ids[index : index + _NAMES_MAX]
        rows = connection.execute(select(*columns).where(endpoint.c.endpoint_id.in_(wanted)))
        yield from (tuple(row) for row in rows)
