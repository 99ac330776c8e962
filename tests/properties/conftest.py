"""Fixtures of the properties: an empty ledger, once for each database."""

from tests.support.ledger_fixtures import ledger_template, ledger_url

__all__ = ["ledger_template", "ledger_url"]
