"""The calls of a client, from the first attempt to the answer or the deadline; written once for tasks and for threads.

A call is a generator of steps. It yields the time until which its caller may sleep, unless it is woken, and
returns the answer. To leave a call is to close the generator, whatever the reason.
"""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import grpc

from tollkeeper_client.batching import Collector, Single, Ticket, wake
from tollkeeper_client.connection import Connection
from tollkeeper_client.errors import ClientClosed, DeadlineExceeded, LedgerError, TollkeeperError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tollkeeper_client.operations import Operation
    from tollkeeper_client.waiting import Waiter

T = TypeVar("T")

TIMEOUT_S = 5.0
CLOSE_S = 10.0
PAUSE_S = 0.05
PAUSE_MAX_S = 2.0
_CALLER = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")


class _Connected(NamedTuple):
    connection: Connection
    collector: Collector
    overviews: Single


class Calls:
    """What a client has under way. Used from any thread, and any event loop."""

    def __init__(
        self,
        target: str,
        credentials: grpc.ChannelCredentials | None,
        caller: str | None,
        on_repeat: Callable[[LedgerError], None] | None,
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._on_repeat = on_repeat
        self._caller = checked_caller(caller) if caller is not None else host_name()
        self._lock = threading.Lock()
        self._connected: _Connected | None = None
        self._pid: int | None = None
        self._open: set[Waiter] = set()
        self._closing: set[Waiter] = set()
        self._closed = False
        self._cut = False

    def steps(
        self, operation: Operation[T], waiter: Waiter, timeout_s: float
    ) -> Generator[float, None, T]:
        """Carry an operation out, again and again while that helps and there is time.

        Raises LedgerError, DeadlineExceeded, ClientClosed.
        """
        deadline_s = time.monotonic() + _checked(timeout_s)
        sender = self._begin(waiter, batched=operation.batched)
        try:
            error: LedgerError | None = None
            pause_s = PAUSE_S
            while True:
                ticket = Ticket(operation.raw, deadline_s, waiter)
                yield from self._attempt(sender, ticket, operation.key, error)
                if ticket.error is None:
                    return operation.read(ticket.response, operation.key)
                self._check_open(operation.key)
                error = LedgerError(ticket.error, key=operation.key)
                again_s = time.monotonic() + _pause(error, pause_s)
                if not error.transient:
                    raise error
                if again_s >= deadline_s:
                    raise _out_of_time(error, operation.key)
                if self._on_repeat is not None:
                    self._on_repeat(error)
                while time.monotonic() < again_s:
                    yield again_s
                    self._check_open(operation.key)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
        finally:
            self._end(waiter)

    def _attempt(
        self, sender: Collector | Single, ticket: Ticket, key: str, last: LedgerError | None
    ) -> Generator[float]:
        """Wait for the answer to one attempt."""
        sender.submit(ticket)
        try:
            while ticket.pending:
                self._check_open(key)
                if time.monotonic() >= ticket.deadline_s:
                    sent = ticket.sent or last is not None
                    raise DeadlineExceeded(_too_late(sent=sent), key=key, sent=sent) from last
                yield ticket.deadline_s
        finally:
            if ticket.pending:
                sender.abandon(ticket)

    def closing_steps(self, waiter: Waiter, timeout_s: float) -> Generator[float, None, None]:
        """Refuse new calls, wait for those that are open, end what is left, and close the connection."""
        if self._pid not in {None, os.getpid()}:
            return  # the connection is another process's
        until_s = time.monotonic() + timeout_s
        with self._lock:
            self._closed = True
            self._closing.add(waiter)
        try:
            while self._open and time.monotonic() < until_s:
                yield until_s
        finally:
            with self._lock:
                self._closing.discard(waiter)
                self._cut = True
                left = list(self._open)
            wake(left)
            if self._connected is not None:
                self._connected.connection.close()

    def _begin(self, waiter: Waiter, *, batched: bool) -> Collector | Single:
        if self._pid not in {None, os.getpid()}:
            raise RuntimeError(
                "this client was used before the process was forked; make one in each process"
            )
        with self._lock:
            if self._closed:
                raise ClientClosed("the client is closed")
            if self._connected is None:
                self._pid = os.getpid()
                connection = Connection(self._target, self._credentials, self._caller)
                self._connected = _Connected(
                    connection, Collector(connection.batch), Single(connection.overview)
                )
            self._open.add(waiter)
            return self._connected.collector if batched else self._connected.overviews

    def _end(self, waiter: Waiter) -> None:
        with self._lock:
            self._open.discard(waiter)
            closing = [] if self._open else list(self._closing)
        wake(closing)

    def _check_open(self, key: str) -> None:
        if self._cut:
            raise ClientClosed(
                "the client was closed; repeating the call tells its outcome", key=key
            )


def checked_caller(caller: str) -> str:
    """Raise ValueError for what the ledger would not take."""
    if _CALLER.fullmatch(caller) is None:
        raise ValueError(f"caller is {caller!r}; it has 1 to 64 printable ASCII characters")
    return caller


def host_name() -> str:
    """Return this machine's name, as far as it can say who calls."""
    return re.sub(r"[^!-~]", "-", socket.gethostname())[:64] or "-"


def _checked(timeout_s: float) -> float:
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"timeout is {timeout_s}; every call has a deadline, in seconds from now")
    return timeout_s


def _pause(error: LedgerError, pause_s: float) -> float:
    """How long to wait before the next attempt: what the ledger asks for, and some of chance."""
    chance_s = pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads load and keeps no secret
    return chance_s if error.retry_after is None else error.retry_after.total_seconds() + chance_s


def _out_of_time(error: LedgerError, key: str) -> TollkeeperError:
    """What to raise where there is no time for another attempt: what the ledger said, if it said anything."""
    if error.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
        return error
    return DeadlineExceeded(_too_late(sent=True), key=key, sent=True)


def _too_late(*, sent: bool) -> str:
    if sent:
        return (
            "the deadline has passed; whether it was carried out, a repeat with the same key tells"
        )
    return "the deadline has passed before it was sent; nothing has happened"
