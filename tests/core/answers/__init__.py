"""Tests of `core/answers`."""
