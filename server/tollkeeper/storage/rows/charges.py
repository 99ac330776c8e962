"""Charges whose reservation was moved out, with what was refunded of each: for refunds that come after that.

Looked for by their place in the journal, and their refunds by the index of those, so that a lane pays a few probes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.engine.ports import Charge
from tollkeeper.storage.rows.hot import entry_of
from tollkeeper.storage.schema import tables
from tollkeeper.storage.schema.shards import shard_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.engine.ports import ReservationKey
    from tollkeeper.storage.rows.written import Row

_COLUMNS = ", ".join(f"t.{column.name}" for column in tables.entry.columns)
_KEY = "json_extract(u.value, '$[0]')"
_REFUNDED = (
    # The kind is written out, as in the index.
    "(SELECT coalesce(sum(r.credits), 0) FROM entry r {indexed}WHERE r.shard = t.shard "
    "AND r.reservation_id = t.reservation_id AND r.kind = 4)"
)
SQLITE_CHARGES = (
    f"SELECT {_COLUMNS}, {_REFUNDED.format(indexed='INDEXED BY entry_refunds ')} "
    "FROM json_each(?) u CROSS JOIN entry t "
    f"WHERE t.shard = {shard_sql(_KEY)} "
    f"AND t.account_key = {_KEY} "
    "AND t.sequence = json_extract(u.value, '$[1]') AND t.kind IN (2, 3)"
)
POSTGRES_CHARGES = (
    f"SELECT {_COLUMNS}, {_REFUNDED.format(indexed='')}::bigint "
    "FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[]) u(shard, key, sequence) "
    "CROSS JOIN LATERAL (SELECT * FROM entry e WHERE e.shard = u.shard AND e.account_key = u.key "
    "AND e.sequence = u.sequence AND e.kind IN (2, 3) OFFSET 0) t"
).encode()


def charges_of(rows: Iterable[Row]) -> dict[ReservationKey, Charge]:
    """Read charges, each by the reservation that was charged."""
    charges = [Charge(entry_of(row[:-1]), row[-1]) for row in rows]
    return {(each.entry.account_key, each.entry.reservation_id): each for each in charges}
