"""Tests of `storage/rows`."""
