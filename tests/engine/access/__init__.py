"""Tests of `engine/access`."""
