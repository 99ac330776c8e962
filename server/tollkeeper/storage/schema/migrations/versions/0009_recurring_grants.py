"""Recurring grants of accounts, and when the next of their periods begins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the recurring grants of accounts, and the index by which the sweeper finds those that are due."""
    op.add_column(
        "account", sa.Column("recurring", sa.Text(), nullable=False, server_default=sa.text("''"))
    )
    op.add_column(
        "account",
        sa.Column("next_grant_us", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.create_index(
        "account_by_next_grant",
        "account",
        ["shard", "next_grant_us"],
        postgresql_where=sa.text("next_grant_us > 0"),
        sqlite_where=sa.text("next_grant_us > 0"),
    )


def downgrade() -> None:
    """Refuse: recurring grants would be forgotten."""
    raise NotImplementedError("there is no way down; restore a backup instead")
