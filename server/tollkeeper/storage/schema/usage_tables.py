"""The tables of the counters; the rest of the schema is in `tables.py`, which has these too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, Table, text

from tollkeeper.storage.schema.metadata import metadata


def _usage(name: str, bucket: str, *more: Column[int]) -> Table:
    return Table(
        name,
        metadata,
        Column("shard", SmallInteger, primary_key=True, autoincrement=False),
        Column("account_key", BigInteger, primary_key=True, autoincrement=False),
        Column(bucket, Integer, primary_key=True, autoincrement=False),
        Column("endpoint_id", Integer, primary_key=True, autoincrement=False),
        Column("kind", SmallInteger, primary_key=True, autoincrement=False),
        Column("requests", BigInteger, nullable=False),
        Column("credits", BigInteger, nullable=False),
        *more,
        postgresql_with={"fillfactor": 60},
        sqlite_with_rowid=False,
    )


PARTS_OF_AN_HOUR = (
    ("requests", "credits"),
    *((f"requests_{minute}", f"credits_{minute}") for minute in (15, 30, 45)),
)
"""Where each quarter of an hour is counted: what `requests` and `credits` count beyond the others' is of the first."""

usage_hour = _usage(
    "usage_hour",
    "hour",
    Column("moved_out", BigInteger, nullable=False, server_default=text("0")),
    *(
        Column(name, BigInteger, nullable=False, server_default=text("0"))
        for part in PARTS_OF_AN_HOUR[1:]
        for name in part
    ),
)
"""Counters by UTC hour: `hour` is hours since 1970. Kinds: core/usage.py. `moved_out`: how many of the
charged, released and expired requests have no reservation any more, for `verify`. `requests` and `credits` are those
of the whole hour; `…_15`, `…_30` and `…_45` say what of them is of its second, third and fourth quarter, for zones
whose hours begin there (docs/decisions/0029-counted-by-the-quarter.md)."""

usage_day = _usage("usage_day", "day")
"""The same by UTC day, so that long periods are read fast."""
