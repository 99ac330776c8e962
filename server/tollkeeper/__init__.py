"""Tollkeeper meters requests: fixed prices, credits held before and charged after, one ledger."""

__version__ = "0.1.0"
