"""Webhooks: who is told of events, and what becomes of each delivery."""
