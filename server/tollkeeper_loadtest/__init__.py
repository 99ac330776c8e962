"""The load test: a workload that follows from a seed, processes that send it, and an audit of the ledger after it.

A package beside the server, which never imports it: the command `tollkeeper loadtest` is loaded by its name when it
is asked for. Generators are processes of their own and tell their coordinator what was acknowledged; the workload is
never kept, since any part of it can be computed again.
"""
