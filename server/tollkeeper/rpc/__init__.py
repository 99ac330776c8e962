"""The gRPC form of the ledger: converts, executes, converts.

1. `convert*.py` turn messages into commands and answers into messages, and decide nothing.
2. `*_service.py` have one line for each method of the protos: no `if`, no `try`, no status code.
3. `answering.py` turns what a method raises into a status, by the one table in `status.py`.
"""
