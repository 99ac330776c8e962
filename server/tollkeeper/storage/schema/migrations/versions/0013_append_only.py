"""Triggers by which the store itself refuses to change or remove a row of what is append-only.

They guard effects and not statements. SQLite removes a row for REPLACE without firing a trigger for DELETE, so there
an INSERT over a row that is there is refused before that, whichever unique key it meets. On PostgreSQL the triggers
of each row are inherited by every partition of the journal, also by those that are made later. Whoever adds a
column to `event`, or a unique key to one of these tables, makes its triggers anew.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEYS = {
    "entry": (("shard", "account_key", "sequence"),),
    "endpoint": (("endpoint_id",), ("method", "path")),
    "price_list": (("version",),),
    "price": (("version", "position"), ("rowid",)),
    "admin_request": (("digest",), ("rowid",)),
    "event": (("shard", "account_key", "rule_id", "period"), ("event_id",), ("position",)),
}
"""The unique keys of each table, with the number that SQLite itself gives a row where it has one."""

NEVER_CHANGED = tuple(table for table in KEYS if table != "event")

OF_AN_EVENT = (
    *("shard", "account_key", "rule_id", "period", "event_id", "rule", "subject", "limit_name"),
    *("threshold", "percent", "value", "base", "window_end_us", "created_us"),
)
"""All columns of an event but its position, which it gets once."""

WORDS = "table {table} is append-only: {event} of it is refused"
TAKEN = "table {table} is append-only: a row of this key exists"

FUNCTION_ON_POSTGRES = """
    CREATE FUNCTION refuse_change_of_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'table % is append-only: % of it is refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END
    $$
"""


def upgrade() -> None:
    """Make the triggers; no row is read, so a large ledger takes no longer than an empty one."""
    if op.get_bind().dialect.name == "sqlite":
        for table in KEYS:
            guard_on_sqlite(table)
        return
    op.execute(FUNCTION_ON_POSTGRES)
    for table in KEYS:
        guard_on_postgres(table)


def downgrade() -> None:
    """Refuse: what could be changed meanwhile would not be known."""
    raise NotImplementedError("there is no way down; restore a backup instead")


def guard_on_sqlite(table: str) -> None:
    """Refuse every effect on rows that are there. The journal has its triggers for UPDATE and DELETE already."""
    op.execute(
        f"""
        CREATE TRIGGER {table}_refuses_replace BEFORE INSERT ON {table}
        WHEN {" OR ".join(f"EXISTS ({_same(table, key)})" for key in KEYS[table])}
        BEGIN SELECT RAISE(ABORT, '{TAKEN.format(table=table)}'); END
        """
    )
    if table == "entry":
        return
    when = "" if table in NEVER_CHANGED else f"WHEN {_is_more_than_placed('IS')} OR {_is_taken()}"
    for event, condition in (("UPDATE", when), ("DELETE", "")):
        op.execute(
            f"""
            CREATE TRIGGER {table}_refuses_{event.lower()} BEFORE {event} ON {table} {condition}
            BEGIN SELECT RAISE(ABORT, '{WORDS.format(table=table, event=event)}'); END
            """
        )


def _same(table: str, key: tuple[str, ...]) -> str:
    return f"SELECT 1 FROM {table} WHERE {' AND '.join(f'{each} = NEW.{each}' for each in key)}"


def _is_taken() -> str:
    """Say whether another event has the position: UPDATE OR REPLACE would remove it."""
    return f"EXISTS ({_same('event', ('position',))})"


def _is_more_than_placed(same: str) -> str:
    """Say whether an event gets anything but its position, or that for a second time."""
    kept = " AND ".join(f"NEW.{each} {same} OLD.{each}" for each in OF_AN_EVENT)
    return f"NOT (OLD.position IS NULL AND NEW.position IS NOT NULL AND {kept})"


def guard_on_postgres(table: str) -> None:
    """Refuse every effect on rows that are there. TRUNCATE has no rows; the journal's partitions refuse it already."""
    whole = "UPDATE OR DELETE OR TRUNCATE" if table in NEVER_CHANGED else "DELETE OR TRUNCATE"
    if table != "entry":
        op.execute(
            f"""
            CREATE TRIGGER {table}_is_append_only BEFORE {whole} ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_append_only()
            """
        )
    for event in ("UPDATE", "DELETE"):
        is_placed = table == "event" and event == "UPDATE"
        when = f"WHEN ({_is_more_than_placed('IS NOT DISTINCT FROM')})" if is_placed else ""
        op.execute(
            f"""
            CREATE TRIGGER {table}_keeps_rows_on_{event.lower()} BEFORE {event} ON {table}
            FOR EACH ROW {when} EXECUTE FUNCTION refuse_change_of_append_only()
            """
        )
