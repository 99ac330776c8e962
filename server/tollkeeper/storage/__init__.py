"""The ledger's database: the only place that knows SQL.

`open_store` gives the engine a store for a URL. What the two databases share is in `tables.py` and `reader.py`;
what differs is in `sqlite.py` and `postgres.py`.
"""
