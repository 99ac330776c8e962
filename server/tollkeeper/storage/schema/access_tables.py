"""The table of tokens; see `tables.py`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from tollkeeper.storage.schema.metadata import Id, metadata

access_token = Table(
    "access_token",
    metadata,
    Column("token_id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", Integer, nullable=False),
    Column("accounts", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("hash_before", LargeBinary(32)),
    Column("before_until_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("rotated_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger, nullable=False),
    Column("used_us", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Index("access_token_changed", "changed_us"),
    sqlite_with_rowid=False,
)
"""Bearer tokens. `roles`: a bit for each role's number. `accounts`: patterns with commas between them, empty for all.
Zero stands for never in the times of expiry, rotation, revocation and use."""
