"""Tokens in SQLite or PostgreSQL."""
