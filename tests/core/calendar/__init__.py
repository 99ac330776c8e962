"""Tests of `core/calendar`."""
