"""Tests of the rules, without a store or a server."""
