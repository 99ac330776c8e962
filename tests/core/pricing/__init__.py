"""Tests of `core/pricing`."""
