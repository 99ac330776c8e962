"""The command line: one file for each group of commands.

A command is a gRPC client of a running server, except `serve`, `migrate` and `verify`, which open
the database themselves.
"""

import os

# gRPC's C core reads this once, when it is loaded. What it would say of a port that is taken or a
# server that is gone, the commands say themselves.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
