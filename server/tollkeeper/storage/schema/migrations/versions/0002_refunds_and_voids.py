"""Refunds of charges, and voided grants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a charge was refunded, and whether a grant was voided."""
    op.add_column(
        "credit_grant", sa.Column("void", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column(
        "reservation",
        sa.Column("refunded", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )


def downgrade() -> None:
    """Refuse: refunds and voids would be forgotten."""
    raise NotImplementedError("there is no way down; restore a backup instead")
