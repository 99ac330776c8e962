"""The load test: a plan that follows from a seed, processes that carry it out, and a check of the ledger after it.

Generators are processes of their own and tell their crew what was acknowledged; the plan itself is never kept, since
any part of it can be computed again.
"""
