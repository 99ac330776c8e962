"""The engine: lanes that turn single operations into batches, one database transaction each.

It owns the protocols that storage fulfils (`ports.py`) and knows neither SQL nor gRPC.
"""
