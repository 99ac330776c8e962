"""Which server a command asks where nothing is said. Stands on nothing of the extra `cli`, as the health check does."""

from __future__ import annotations

DEFAULT_SERVER = "127.0.0.1:50051"
SERVER_VARIABLE = "TOLLKEEPER_SERVER"
