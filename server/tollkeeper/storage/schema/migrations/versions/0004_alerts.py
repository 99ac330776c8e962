"""Alert rules of accounts, and the events that tell when they were met."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PLACED = sa.text("position IS NOT NULL")
_WAITING = sa.text("position IS NULL")


def upgrade() -> None:
    """Add the rules and how far they are, the events, and the last position given."""
    for name in ("alerts", "alert_states"):
        op.add_column(
            "account", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''"))
        )
    op.create_table(
        "event",
        sa.Column("shard", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("account_key", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("rule_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("period", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.SmallInteger(), nullable=False),
        sa.Column("limit_name", sa.Text(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("percent", sa.Boolean(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.Column("window_end_us", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger()),
        sqlite_with_rowid=False,
    )
    op.create_index("event_by_id", "event", ["event_id"], unique=True)
    op.create_index(
        "event_by_position",
        "event",
        ["position"],
        unique=True,
        postgresql_where=_PLACED,
        sqlite_where=_PLACED,
    )
    op.create_index(
        "event_without_position",
        "event",
        ["created_us", "event_id"],
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    event_position = op.create_table(
        "event_position",
        sa.Column("one", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(event_position, [{"one": 1, "last": 0}])


def downgrade() -> None:
    """Refuse: events would be forgotten."""
    raise NotImplementedError("there is no way down; restore a backup instead")
