"""Webhooks: the calls about them, and the dispatcher that delivers events."""
