"""Recurring grants: credits at the beginning of every period."""
