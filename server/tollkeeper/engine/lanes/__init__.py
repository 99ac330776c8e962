"""Lanes: the queue, the writer behind it, and how a batch is decided."""
