"""How verify reads: rows in passing, without holding them all."""

from __future__ import annotations

from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import text

from tollkeeper.storage.verify_words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, RowMapping

_ROWS_AT_ONCE = 1_000


def read_rows(connection: Connection, statement: str, **values: int) -> Iterator[RowMapping]:
    """Run a statement and yield its rows without holding them all."""
    query = text(statement)
    known = {**WORDS, **values}
    named = {name: known[name] for name in query.compile().params}
    options = {"yield_per": _ROWS_AT_ONCE}
    yield from connection.execute(query, named, execution_options=options).mappings()


Placed = tuple[tuple[int, int], int, "RowMapping"]
"""A row's shard and account key, which of two statements it is of, and the row."""


def side_by_side(
    connection: Connection, first: str, second: str
) -> Iterator[tuple[tuple[int, int], Iterator[Placed]]]:
    """Yield shard and account key with the rows that both statements (0 and 1) have of them, one account at a time."""
    rows = merge(
        (_placed(0, row) for row in read_rows(connection, first)),
        (_placed(1, row) for row in read_rows(connection, second)),
        key=lambda each: each[0],
    )
    return groupby(rows, key=lambda each: each[0])


def _placed(table: int, row: RowMapping) -> Placed:
    return (row["shard"], row["account_key"]), table, row


def account_id_of(connection: Connection, shard: int, key: int) -> str:
    """Return the id of an account, or its key where there is none."""
    query = text("SELECT account_id FROM account WHERE shard = :shard AND key = :key")
    found = connection.execute(query, {"shard": shard, "key": key}).scalar_one_or_none()
    return found or f"#{key:x}"
