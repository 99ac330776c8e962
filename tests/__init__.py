"""Tests of the whole repository, in folders named after what they hold to its word."""
