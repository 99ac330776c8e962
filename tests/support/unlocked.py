"""Takes away what keeps rows of a ledger as they are, as an intruder with the rights of its owner would."""

from sqlalchemy import Connection, text

APPEND_ONLY = ("entry", "endpoint", "price_list", "price", "admin_request", "event")
"""The tables of which no row is ever changed or removed, but for an event's position."""

_ON_SQLITE = text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
_ON_POSTGRES = text(
    "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0"
)


def unlock(connection: Connection) -> None:
    """Drop every trigger; those who undo the transaction have them back."""
    on_sqlite = connection.dialect.name == "sqlite"
    for name, table in connection.execute(_ON_SQLITE if on_sqlite else _ON_POSTGRES).all():
        connection.execute(text(f"DROP TRIGGER {name}" + ("" if on_sqlite else f" ON {table}")))
