"""On PostgreSQL, reservations and the journal by time: what there is becomes the first partition. Nothing on SQLite."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_EPOCH_MS = 1_704_067_200_000
_ID_BITS = 22
_PERIOD_US = 28 * 86_400_000_000

RESERVATIONS = (
    "ALTER TABLE reservation RENAME TO reservation_first",
    "ALTER INDEX reservation_pkey RENAME TO reservation_first_pkey",
    "ALTER INDEX reservation_by_request RENAME TO reservation_first_by_request",
    """
    CREATE TABLE reservation (LIKE reservation_first INCLUDING DEFAULTS)
    PARTITION BY RANGE (reservation_id)
    """,
    "ALTER TABLE reservation ADD PRIMARY KEY (shard, reservation_id)",
    """
    ALTER TABLE reservation ATTACH PARTITION reservation_first
    FOR VALUES FROM (MINVALUE) TO ({bound})
    """,
    "CREATE TABLE reservation_default PARTITION OF reservation DEFAULT WITH (fillfactor = 50)",
    """
    CREATE UNIQUE INDEX reservation_default_by_request
    ON reservation_default (shard, account_key, request_digest)
    """,
)
JOURNAL = (
    "ALTER TABLE entry RENAME TO entry_first",
    "ALTER TABLE entry_first DROP CONSTRAINT entry_pkey",
    "ALTER TABLE entry_first ADD PRIMARY KEY (shard, account_key, sequence, created_us)",
    "ALTER INDEX entry_refunds RENAME TO entry_first_refunds",
    "CREATE TABLE entry (LIKE entry_first INCLUDING DEFAULTS) PARTITION BY RANGE (created_us)",
    "ALTER TABLE entry ADD PRIMARY KEY (shard, account_key, sequence, created_us)",
    "CREATE INDEX entry_refunds ON entry (shard, reservation_id) WHERE kind = 4",
    "ALTER TABLE entry ATTACH PARTITION entry_first FOR VALUES FROM (MINVALUE) TO ({bound})",
    "CREATE TABLE entry_default PARTITION OF entry DEFAULT",
    *(
        f"""
        CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_journal()
        """
        for table in ("entry", "entry_default")  # that of the first partition is there
    ),
)


def upgrade() -> None:
    """Put each table, as it is, under a partitioned one of its name."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return
    now_us = time.time_ns() // 1_000
    newest = sa.text(
        "SELECT (SELECT max(reservation_id) FROM reservation), max(created_us) FROM entry"
    )
    last_id, last_us = connection.execute(newest).one()
    of_id_us = ((last_id or 0) >> _ID_BITS) * 1_000 + _EPOCH_MS * 1_000
    # Both begin a new partition within a period of 28 days; the server makes those that follow.
    bound_us = (max(now_us, of_id_us, last_us or 0) // _PERIOD_US + 1) * _PERIOD_US
    bound_id = (bound_us // 1_000 - _EPOCH_MS) << _ID_BITS
    for statement in RESERVATIONS:
        op.execute(statement.format(bound=bound_id))
    for statement in JOURNAL:
        op.execute(statement.format(bound=bound_us))


def downgrade() -> None:
    """Refuse: what is in later partitions has no place in one table."""
    raise NotImplementedError("there is no way down; restore a backup instead")
