"""Tests of `core/webhooks`."""
