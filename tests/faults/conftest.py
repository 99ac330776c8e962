"""A ledger for what breaks it."""

from tests.support.ledger_fixtures import ledger, ledger_template, postgres_ledger

__all__ = ["ledger", "ledger_template", "postgres_ledger"]
