"""Tests of `cli/accounts`."""
