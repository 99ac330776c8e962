"""Indexes of which a look-up has only one to choose, whatever PostgreSQL knows of a table. The same on SQLite."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_IS_OPEN_AND_EXPIRES = sa.text("open AND expires_us < 9223372036854775807")


def upgrade() -> None:
    """Make the indexes anew; on a large ledger this takes as long as PostgreSQL needs to read and sort its rows."""
    op.drop_index("account_by_shard", "account")
    op.drop_index("account_by_id", "account")
    op.create_index("account_by_id", "account", ["account_id", "shard"], unique=True)
    op.drop_index("credit_grant_due", "credit_grant")
    op.create_index(
        "credit_grant_due",
        "credit_grant",
        ["shard", "expires_us"],
        postgresql_where=_IS_OPEN_AND_EXPIRES,
        sqlite_where=_IS_OPEN_AND_EXPIRES,
    )
    for table in _tables_of_reservations(op.get_bind()):
        op.drop_index(f"{table}_by_request", table)
        columns = ["account_key", "request_digest", "shard"]
        op.create_index(f"{table}_by_request", table, columns, unique=True)


def downgrade() -> None:
    """Refuse: older versions do not start on a newer schema anyway."""
    raise NotImplementedError("there is no way down; restore a backup instead")


def _tables_of_reservations(connection: sa.Connection) -> list[str]:
    """Return what has an index of its own: the partitions on PostgreSQL, which are unique only in themselves."""
    if connection.dialect.name == "sqlite":
        return ["reservation"]
    found = connection.execute(
        sa.text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = CAST('reservation' AS regclass) ORDER BY c.relname"
        )
    )
    return list(found.scalars())
