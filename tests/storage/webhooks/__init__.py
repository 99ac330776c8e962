"""Tests of `storage/webhooks`."""
