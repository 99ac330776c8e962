"""A lock among the workers of one server: who holds it may tell its callers to go elsewhere.

When all workers stop, they do this one after another. Otherwise the callers that one worker lets go connect to another
in the very moment in which its connections end, and gRPC tells them CANCELLED.
"""

from __future__ import annotations

import fcntl
import os
import tempfile


class LeaveLock:
    """A lock on a file without a name, which the workers inherit. The system releases it when its holder ends."""

    def __init__(self, descriptor: int) -> None:
        """Use an open file, which is ours from now on."""
        self.descriptor = descriptor

    @classmethod
    def create(cls) -> LeaveLock:
        """Return one that no process holds."""
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def take(self) -> bool:
        """Take it unless another process has it; say whether it is ours, also if it was before."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Let another process take it."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)
