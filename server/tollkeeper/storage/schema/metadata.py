"""What the tables of the schema are registered in."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData()
