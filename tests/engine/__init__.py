"""Tests of the engine: lanes, batches, retries, sweeping, and operations end to end without gRPC."""
