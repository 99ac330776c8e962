"""Tests of `storage/connections`."""
