"""Tests of `cli/serve`."""
