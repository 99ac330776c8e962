"""Writes the statements of SQLite's lane out of the tables: one row at a time, for executemany."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.storage.rows import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Table


def columns(table: Table, prefix: str = "") -> str:
    """Return the columns of a table, to be selected."""
    return ", ".join(prefix + column.name for column in table.columns)


def insert(table: Table, columns: Sequence[str] = (), more: Mapping[str, str] | None = None) -> str:
    """Return the INSERT of a row: of these columns, or of all; `more` have the value of another column."""
    names = columns or table.columns.keys()
    place = {name: f"?{number}" for number, name in enumerate(names, 1)}
    place |= {name: place[same] for name, same in (more or {}).items()}
    return f"INSERT INTO {table.name} ({', '.join(place)}) VALUES ({', '.join(place.values())})"


def update(table: Table, columns: Sequence[str], keys: Sequence[str], to: str = "?") -> str:
    """Return the UPDATE of columns by a key; `to` is what each is set to."""
    return (
        f"UPDATE {table.name} SET {', '.join(f'{name} = {to.format(name)}' for name in columns)} "
        f"WHERE {' AND '.join(f'{name} = ?' for name in keys)}"
    )


def add(table: Table, more: Mapping[str, str] | None = None) -> str:
    """Add to counters: every column that a batch writes and that is not of the key; `more` as of `insert`."""
    keys = table.primary_key.columns.keys()
    given = written.ADDED_TO[table.name]
    names = [name for name in (*given, *(more or {})) if name not in keys]
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    return f"{insert(table, given, more)} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}"
