"""How verify reads: rows in passing, without holding them all."""

from __future__ import annotations

from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import text

from tollkeeper.storage.verify.laws import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, RowMapping

ROWS_AT_ONCE = 1_000


def read_rows(connection: Connection, statement: str, **values: int) -> Iterator[RowMapping]:
    """Run a statement and yield its rows without holding them all."""
    query = text(statement)
    known = {**WORDS, **values}
    named = {name: known[name] for name in query.compile().params}
    options = {"yield_per": ROWS_AT_ONCE}
    result = connection.execute(query, named, execution_options=options)
    try:
        yield from result.mappings()
    finally:  # also where the reader has seen enough
        result.close()


Placed = tuple[tuple[int, int], int, "RowMapping"]
"""A row's shard and account key, which statement it is of, and the row."""


def side_by_side(
    connection: Connection, *statements: str
) -> Iterator[tuple[tuple[int, int], Iterator[Placed]]]:
    """Yield shard and account key with the rows that each statement (0, 1, …) has of them, one account at a time."""
    rows = merge(
        *(_placed(number, connection, each) for number, each in enumerate(statements)),
        key=lambda each: each[0],
    )
    return groupby(rows, key=lambda each: each[0])


def _placed(number: int, connection: Connection, statement: str) -> Iterator[Placed]:
    for row in read_rows(connection, statement):
        yield (row["shard"], row["account_key"]), number, row


def account_id_of(connection: Connection, shard: int, key: int) -> str:
    """Return the id of an account, or its key where there is none."""
    query = text("SELECT account_id FROM account WHERE shard = :shard AND key = :key")
    account_id = connection.execute(query, {"shard": shard, "key": key}).scalar_one_or_none()
    return account_id or f"#{key:x}"
