"""Named price lists, and which of them accounts pay by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the names of price lists, and the lists that accounts are on."""
    empty = sa.text("''")
    op.add_column("price_list", sa.Column("name", sa.Text(), nullable=False, server_default=empty))
    op.add_column("price_list", sa.Column("named_effective_us", sa.BigInteger()))
    op.add_column("account", sa.Column("pricing", sa.Text(), nullable=False, server_default=empty))


def downgrade() -> None:
    """Refuse: accounts would fall back to the default list."""
    raise NotImplementedError("there is no way down; restore a backup instead")
