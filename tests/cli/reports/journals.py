"""Long journals for the tests of exports: rows that SQL makes in a moment, as a server would have written them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.processes import Serving

EVERY_US = 2_000_000

_CHARGES = """
WITH RECURSIVE
    n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :length),
    a AS (SELECT shard, key, sequence, settled FROM account WHERE account_id = :account_id)
INSERT INTO entry (shard, account_key, sequence, kind, credits, settled, created_us,
    reservation_id, grant_id, endpoint_id, price_version)
SELECT shard, key, sequence + i, 2, -1, settled - i, :start_us + i * :every_us, i, 0, 2, 1 FROM n, a
"""
_ACCOUNT = """
UPDATE account SET sequence = sequence + :length, settled = settled - :length WHERE account_id = :account_id
"""


def lengthen(server: Serving, account_id: str, length: int, *, start_us: int) -> None:
    """Append charges of 1 credit each to an account's journal, two seconds apart."""
    values = {
        "account_id": account_id,
        "length": length,
        "start_us": start_us,
        "every_us": EVERY_US,
    }
    with closing(sqlite3.connect(server.folder / "tollkeeper.db", timeout=30)) as connection:
        connection.execute(_CHARGES, values)
        connection.execute(_ACCOUNT, values)
        connection.commit()
