"""What counters count of reservations that have been moved out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what of a counter and of a window has no reservation any more: nothing yet."""
    for table, name in (
        ("usage_hour", "moved_out"),
        ("limit_window", "used_moved_out"),
        ("limit_window", "over_moved_out"),
    ):
        op.add_column(
            table, sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        )


def downgrade() -> None:
    """Refuse: reservations that were moved out would be missed."""
    raise NotImplementedError("there is no way down; restore a backup instead")
