"""Tests of the requests that the server makes of others."""
