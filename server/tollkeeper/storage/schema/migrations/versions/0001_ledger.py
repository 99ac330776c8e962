"""The ledger: accounts, grants, reservations, the journal, counters and prices."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UNLISTED_ENDPOINT = {"endpoint_id": 1, "method": "*", "path": "/**"}

JOURNAL_TRIGGERS_ON_POSTGRES = (
    """
    CREATE FUNCTION refuse_change_of_journal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the journal is append-only: % of table entry is refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_journal()
    """,
)
JOURNAL_TRIGGERS_ON_SQLITE = (
    """
    CREATE TRIGGER entry_refuses_update BEFORE UPDATE ON entry BEGIN
        SELECT RAISE(ABORT, 'the journal is append-only: UPDATE of table entry is refused');
    END
    """,
    """
    CREATE TRIGGER entry_refuses_delete BEFORE DELETE ON entry BEGIN
        SELECT RAISE(ABORT, 'the journal is append-only: DELETE of table entry is refused');
    END
    """,
)


def upgrade() -> None:
    """Make every table, and put in the one endpoint that each ledger has."""
    create_accounts()
    create_reservations()
    create_journal()
    create_usage("usage_hour", "hour")
    create_usage("usage_day", "day")
    create_prices()
    create_admin_requests()


def downgrade() -> None:
    """Refuse: nothing comes before the first schema."""
    raise NotImplementedError("there is no schema before 0001; restore a backup instead")


def create_accounts() -> None:
    """Make `account` and `credit_grant`."""
    op.create_table(
        "account",
        key("shard", sa.SmallInteger()),
        key("key", sa.BigInteger()),
        sa.Column(
            "account_id",
            sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        number("credit_limit"),
        number("settled"),
        number("held"),
        number("charged"),
        number("sequence"),
        number("created_us"),
        **clustered(fillfactor=50),
    )
    op.create_index("account_by_shard", "account", ["shard", "account_id"], unique=True)
    op.create_index("account_by_id", "account", ["account_id"])

    op.create_table(
        "credit_grant",
        key("shard", sa.SmallInteger()),
        key("account_key", sa.BigInteger()),
        key("grant_id", sa.BigInteger()),
        number("credits"),
        number("remaining"),
        number("held"),
        number("consumed"),
        number("expired"),
        number("voided"),
        sa.Column("priority", sa.Integer(), nullable=False),
        number("created_us"),
        number("expires_us"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        **clustered(fillfactor=50),
    )
    for name, second in (("credit_grant_open", "account_key"), ("credit_grant_due", "expires_us")):
        op.create_index(
            name,
            "credit_grant",
            ["shard", second],
            postgresql_where=sa.text("open"),
            sqlite_where=sa.text("open"),
        )


def create_reservations() -> None:
    """Make `reservation` and `hold`."""
    op.create_table(
        "reservation",
        key("shard", sa.SmallInteger()),
        key("reservation_id", sa.BigInteger()),
        number("account_key"),
        sa.Column("request_digest", sa.LargeBinary(16), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        number("credits"),
        sa.Column("price_version", sa.Integer(), nullable=False),
        sa.Column("charge_on", sa.Text()),
        number("grant_id"),
        sa.Column("slices", sa.Text()),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        number("created_us"),
        number("expires_us"),
        number("hold_us"),
        number("settled_us"),
        **clustered(fillfactor=50),
    )
    op.create_index(
        "reservation_by_request",
        "reservation",
        ["shard", "account_key", "request_digest"],
        unique=True,
    )

    op.create_table(
        "hold",
        key("shard", sa.SmallInteger()),
        key("expires_us", sa.BigInteger()),
        key("reservation_id", sa.BigInteger()),
        number("account_key"),
        **clustered(),
    )


def create_journal() -> None:
    """Make `entry`, and have the database itself refuse to change what is in it."""
    op.create_table(
        "entry",
        key("shard", sa.SmallInteger()),
        key("account_key", sa.BigInteger()),
        key("sequence", sa.BigInteger()),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        number("credits"),
        number("settled"),
        number("created_us"),
        number("reservation_id"),
        number("grant_id"),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("price_version", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text()),
        **clustered(),
    )
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in JOURNAL_TRIGGERS_ON_SQLITE if on_sqlite else JOURNAL_TRIGGERS_ON_POSTGRES:
        op.execute(statement)


def create_usage(name: str, bucket: str) -> None:
    """Make one table of counters."""
    op.create_table(
        name,
        key("shard", sa.SmallInteger()),
        key("account_key", sa.BigInteger()),
        key(bucket, sa.Integer()),
        key("endpoint_id", sa.Integer()),
        key("kind", sa.SmallInteger()),
        number("requests"),
        number("credits"),
        **clustered(fillfactor=60),
    )


def create_prices() -> None:
    """Make `endpoint`, `price_list` and `price`."""
    endpoint = op.create_table(
        "endpoint",
        key("endpoint_id", sa.Integer()),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
    )
    op.create_index("endpoint_by_name", "endpoint", ["method", "path"], unique=True)
    op.bulk_insert(endpoint, [UNLISTED_ENDPOINT])

    op.create_table(
        "price_list",
        key("version", sa.Integer()),
        number("effective_us"),
        sa.Column("unlisted", sa.SmallInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        number("created_us"),
    )
    op.create_table(
        "price",
        key("version", sa.Integer()),
        key("position", sa.Integer()),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        number("credits"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("charge_on", sa.Text()),
    )


def create_admin_requests() -> None:
    """Make `admin_request`."""
    op.create_table(
        "admin_request",
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        number("created_us"),
    )


def key(name: str, kind: sa.types.TypeEngine[int]) -> sa.Column[int]:
    """Return a part of the primary key."""
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def number(name: str) -> sa.Column[int]:
    """Return a column of credits, of microseconds, or of ids."""
    return sa.Column(name, sa.BigInteger(), nullable=False)


def clustered(*, fillfactor: int | None = None) -> dict[str, Any]:
    """Return the options of a hot table: by key alone on SQLite, with room to update on PostgreSQL."""
    options: dict[str, Any] = {"sqlite_with_rowid": False}
    if fillfactor is not None:
        options["postgresql_with"] = {"fillfactor": fillfactor}
    return options
