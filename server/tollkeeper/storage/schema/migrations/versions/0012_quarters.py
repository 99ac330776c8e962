"""What of an hour's counters is of which quarter of it; of the past, the journal and the reservations tell."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COLUMNS = [f"{name}_{minute}" for minute in (15, 30, 45) for name in ("requests", "credits")]

# Charges and refunds are in the journal for good. Of what was released or has expired, the reservation tells as long as
# it is there; of the rest, and of denials, only the hour is known, and they stay in its first quarter.
_RECOUNT = f"""
    UPDATE usage_hour SET {", ".join(f"{name} = told.{name}" for name in _COLUMNS)}
    FROM (
        SELECT shard, account_key, at_us / 3600000000 AS hour, endpoint_id, kind,
               {
    ", ".join(
        f"sum(CASE WHEN at_us / 900000000 % 4 = {minute // 15} THEN {name} ELSE 0 END)"
        f" AS {name}_{minute}"
        for minute in (15, 30, 45)
        for name in ("requests", "credits")
    )
}
        FROM (
            SELECT shard, account_key, created_us AS at_us, endpoint_id, 1 AS kind, 1 AS requests,
                   -credits AS credits
            FROM entry WHERE kind IN (2, 3)
            UNION ALL
            SELECT shard, account_key, created_us, endpoint_id, 3, 1, credits FROM entry WHERE kind = 4
            UNION ALL
            SELECT shard, account_key, settled_us, endpoint_id, 20 + outcome, 1, 0
            FROM reservation WHERE state = 3
            UNION ALL
            SELECT shard, account_key, expires_us, endpoint_id, 2, 1, 0 FROM reservation WHERE state = 4
        ) AS counted
        GROUP BY shard, account_key, at_us / 3600000000, endpoint_id, kind
    ) AS told
    WHERE usage_hour.shard = told.shard AND usage_hour.account_key = told.account_key
      AND usage_hour.hour = told.hour AND usage_hour.endpoint_id = told.endpoint_id
      AND usage_hour.kind = told.kind
"""


def upgrade() -> None:
    """Add the quarters, and count them; on a large ledger this takes as long as to read its journal once."""
    for name in _COLUMNS:
        op.add_column(
            "usage_hour",
            sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        )
    op.execute(sa.text(_RECOUNT))


def downgrade() -> None:
    """Refuse: older versions do not start on a newer schema anyway."""
    raise NotImplementedError("there is no way down; restore a backup instead")
