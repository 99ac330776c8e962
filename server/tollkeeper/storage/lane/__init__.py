"""The two lanes: what a batch asks of PostgreSQL and of SQLite."""
