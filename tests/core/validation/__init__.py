"""Tests of `core/validation`."""
