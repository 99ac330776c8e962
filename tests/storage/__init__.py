"""Tests of the database side: what is read, what is kept, and what the database itself refuses."""
