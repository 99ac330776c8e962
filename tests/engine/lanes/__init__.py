"""Tests of `engine/lanes`."""
