"""Tests of `engine/hosts`."""
