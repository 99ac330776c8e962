"""What a reservation remembers for people who ask why it was charged, and refunds by their reservation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add request_id, who called, the HTTP status and the charge's place in the journal; index the refunds."""
    op.add_column("reservation", number("http_status", sa.SmallInteger()))
    op.add_column("reservation", text("settled_by"))
    op.add_column("reservation", number("charge_sequence", sa.BigInteger()))
    op.add_column("reservation", text("request_id"))
    op.add_column("reservation", text("authorized_by"))
    op.create_index(
        "entry_refunds",
        "entry",
        ["shard", "reservation_id"],
        postgresql_where=sa.text("kind = 4"),
        sqlite_where=sa.text("kind = 4"),
    )


def downgrade() -> None:
    """Refuse: who called would be forgotten."""
    raise NotImplementedError("there is no way down; restore a backup instead")


def text(name: str) -> sa.Column[str]:
    """Return a column that is empty where a server of the version before writes."""
    return sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''"))


def number(name: str, kind: sa.types.TypeEngine[int]) -> sa.Column[int]:
    """Return a column that is zero there."""
    return sa.Column(name, kind, nullable=False, server_default=sa.text("0"))
