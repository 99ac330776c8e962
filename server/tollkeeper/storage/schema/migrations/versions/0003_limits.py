"""Limits of accounts, and the counters of their windows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the limits of accounts, what reservations count in, and the windows."""
    op.add_column(
        "account", sa.Column("limits", sa.Text(), nullable=False, server_default=sa.text("''"))
    )
    op.add_column("reservation", sa.Column("windows", sa.Text()))
    op.create_table(
        "limit_window",
        sa.Column("shard", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("account_key", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("limit_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("start_us", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("over", sa.BigInteger(), nullable=False),
        postgresql_with={"fillfactor": 60},
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Refuse: what limits have counted would be forgotten."""
    raise NotImplementedError("there is no way down; restore a backup instead")
