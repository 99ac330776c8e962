"""Tests of `storage/verify`."""
