"""Tests of `core/recurring`."""
