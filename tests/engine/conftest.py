"""Every test of the engine has a ledger of its own, on each database."""

from tests.support.ledger_fixtures import ledger, ledger_template, postgres_ledger

__all__ = ["ledger", "ledger_template", "postgres_ledger"]
