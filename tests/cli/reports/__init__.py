"""Tests of `cli/reports`."""
