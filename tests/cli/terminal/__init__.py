"""Tests of `cli/terminal`."""
