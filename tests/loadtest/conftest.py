"""Fixtures of the load test's tests: those of the command line, whose server is loaded."""

from __future__ import annotations

from tests.cli.conftest import server
from tests.support.ledger_fixtures import ledger, ledger_on_any, ledger_template, postgres_ledger

__all__ = ["ledger", "ledger_on_any", "ledger_template", "postgres_ledger", "server"]
