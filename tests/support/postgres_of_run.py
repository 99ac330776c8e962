"""One PostgreSQL for all test processes of a run.

The main process keeps it: it starts the server when the first test asks for it, and ends it with
the run. Where pytest-xdist runs the tests in worker processes, these ask the main process over a
socket; each of them gives away databases under names of its own.
"""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import ExitStack
from multiprocessing.connection import Client, Listener

from tests.support.postgres import (
    Postgres,
    PostgresFailedError,
    find_binaries,
    running_postgres,
)

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
Answer = tuple[int, str]
"""The port, or 0 and why there is none."""


class Keeper:
    """Keeps the server, in the main process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = ExitStack()
        self._answer: Answer | None = None
        self._listener: Listener | None = None
        self._key = os.urandom(16)

    def server(self) -> Answer:
        """Start the server, once."""
        with self._lock:
            if self._answer is None:
                self._answer = self._start()
            return self._answer

    def listen(self) -> tuple[str, bytes]:
        """Begin to answer worker processes; return the address and the key to ask with."""
        if self._listener is None:
            self._listener = Listener(family="AF_UNIX", authkey=self._key)
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        return str(self._listener.address), self._key

    def close(self) -> None:
        """End the server."""
        if self._listener is not None:
            self._listener.close()
        with self._lock:
            self._running.close()

    def _start(self) -> Answer:
        binaries = find_binaries()
        if binaries is None:
            return 0, ""
        try:
            return self._running.enter_context(running_postgres(binaries=binaries)).port, ""
        except PostgresFailedError as failed:
            return 0, str(failed)

    def _serve(self, listener: Listener) -> None:
        while True:
            try:
                with listener.accept() as connection:
                    connection.send(self.server())
            except EOFError:  # a worker process that is gone again
                continue
            except OSError:  # closed: the run ends
                return


def ask(address: str, key: bytes) -> Answer:
    """Ask the main process for the server, in a worker process."""
    with Client(address, family="AF_UNIX", authkey=key) as connection:
        return connection.recv()


def opened(answer: Answer) -> Postgres | None:
    """Return the server of an answer; None where there are no binaries for one."""
    port, failure = answer
    if failure:
        raise PostgresFailedError(failure)
    return Postgres(port, (f"{WORKER}_{number}" for number in itertools.count(1))) if port else None
