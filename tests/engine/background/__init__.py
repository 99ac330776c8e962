"""Tests of `engine/background`."""
