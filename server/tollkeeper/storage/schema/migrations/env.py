"""Runs migrations in the transaction that `migrate.py` has opened, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context

from tollkeeper.storage.schema.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection


def run() -> None:
    """Bring the schema of the given connection to the wanted version."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()


run()
