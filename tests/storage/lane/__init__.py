"""Tests of `storage/lane`."""
