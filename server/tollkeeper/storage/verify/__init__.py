"""Checks a ledger against every invariant of the rules."""
