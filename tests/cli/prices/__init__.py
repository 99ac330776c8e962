"""Tests of `cli/prices`."""
