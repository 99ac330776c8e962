"""Tests of `storage/read`."""
