"""What the tables of the schema are registered in, and the type of ids."""

from __future__ import annotations

from sqlalchemy import MetaData, Text
from sqlalchemy.dialects import postgresql

metadata = MetaData()

Id = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Ids sort by their bytes on both databases."""
