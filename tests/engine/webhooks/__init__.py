"""Tests of `engine/webhooks`."""
