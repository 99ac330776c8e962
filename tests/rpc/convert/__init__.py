"""Tests of `rpc/convert`."""
