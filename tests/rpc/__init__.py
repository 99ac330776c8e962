"""Tests of the gRPC form: fields, conversion, statuses, and both services over a real port."""
