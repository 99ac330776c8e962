"""Closes connections on which the database has not answered in time.

The driver waits for as long as the network takes bytes, and a proxy that stopped forwarding takes them for ever. So
code that asks the database says so here first. A thread looks after what is asked, and shuts the socket of a connection
that was left without an answer: then the driver wakes and raises, as for a connection that was lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from psycopg import Connection as Driver

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 10.0

_LOOKS = 20
"""How often it is looked within the time that the database has."""


class _Asked(NamedTuple):
    driver: Driver[Any]
    until_s: float


class AnswerWatch:
    """Watches over the connections of one process. Safe for many threads.

    `within_s` is how long the database may take to answer.
    """

    def __init__(self, within_s: float = ANSWER_WITHIN_S) -> None:
        self.within_s = within_s
        self._asked: dict[int, _Asked] = {}
        self._lock = threading.Lock()
        self._aborted = False
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self, driver: Driver[Any], *, within_s: float | None = None) -> None:
        """Begin to wait for the answer on this connection, or begin anew. Hot."""
        until_s = time.monotonic() + (self.within_s if within_s is None else within_s)
        with self._lock:
            self._asked[id(driver)] = _Asked(driver, until_s)
            if self._thread is None:
                self._start()
        if self._aborted:
            self._close_late(until_s)

    def answered(self, driver: Driver[Any]) -> None:
        """End to wait; when this returns, the connection is left alone. Hot."""
        with self._lock:
            self._asked.pop(id(driver), None)

    def abort(self) -> None:
        """Close every connection that is waited on, now and from now on: the time of all of them is over."""
        self._aborted = True
        self._close_late(float("inf"))

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="answer-watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self.within_s / _LOOKS):
            self._close_late(time.monotonic())

    def _close_late(self, now_s: float) -> None:
        with self._lock:
            late = [each for each in self._asked.values() if each.until_s <= now_s]
            for each in late:
                del self._asked[id(each.driver)]
                _shut(each.driver)
        if late and not self._aborted:
            log.error(
                "the database has not answered in time; %d of its connections closed", len(late)
            )


def _shut(driver: Driver[Any]) -> None:
    """Shut the socket, which the waiting thread notices. Its number stays the driver's until the driver closes it."""
    with (
        contextlib.suppress(Exception),  # closed already, or lost: there is nothing to shut
        socket.socket(fileno=os.dup(driver.fileno())) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)
