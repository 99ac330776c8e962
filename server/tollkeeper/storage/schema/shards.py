"""The shard of an account's key, as SQL: the one spelling, beside `core.account.shard_of`."""

from __future__ import annotations

from tollkeeper.core.account import SHARDS


def shard_sql(key: str) -> str:
    """Return the shard that an account's key carries; `key` is an expression of SQL."""
    return f"({key} & {SHARDS - 1})"
