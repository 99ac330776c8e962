"""Callers and servers of benchmarks, each a process of its own."""
