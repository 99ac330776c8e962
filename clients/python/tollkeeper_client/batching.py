"""Collects operations while others are under way, and sends together what has come meanwhile.

No timer and no size to wait for: an operation that finds room goes at once. What cannot go waits, in order; its caller
waits with it, so that no more waits than there are callers. A batch leaves callers for the next one: the client writes
and reads one while the ledger works on another.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.status_pb2 import Status

from tollkeeper_client.connection import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tollkeeper_client.connection import Start
    from tollkeeper_client.v1 import ledger_pb2 as pb
    from tollkeeper_client.waiting import Waiter

    Share = Callable[[list["Ticket"], Any], None]

BATCHES_MAX = 4
"""Batches under way: an operation that comes alone need not wait for the end of a long one."""
SHARES = 2
"""A batch takes at most one part in so many of the operations that wait or are under way."""
SHARE_MIN = 32
"""So many go together all the same: fewer are not worth a transaction."""
OPERATIONS_MAX = 1_000
"""Operations in one batch: what the ledger puts into one transaction."""
BYTES_MAX = 1024 * 1024
"""Bytes in one batch. A longer operation goes alone, and fails alone where it is too long for the ledger."""
ATTEMPT_S = 10.0
"""The most that one attempt may take: a ledger that does not answer may not keep others' operations waiting."""


class Ticket:
    """One attempt of one operation, made by its caller and answered with `response` or `error`."""

    __slots__ = ("batch", "deadline_s", "error", "gone", "raw", "response", "waiter")

    def __init__(self, raw: bytes, deadline_s: float, waiter: Waiter) -> None:
        self.raw = raw
        self.deadline_s = deadline_s
        self.waiter = waiter
        self.batch: Batch | None = None
        self.response: Any = None
        self.error: Status | None = None
        self.gone = False

    @property
    def pending(self) -> bool:
        """Whether there is no answer yet."""
        return self.response is None and self.error is None

    @property
    def sent(self) -> bool:
        """Whether it has left this process."""
        return self.batch is not None


class Batch:
    """What goes as one call: cancelled when the last of its callers has gone."""

    __slots__ = ("_lock", "_rpc", "_share", "_wanted", "tickets")

    def __init__(self, tickets: list[Ticket], share: Share) -> None:
        self.tickets = tickets
        self._share = share
        self._wanted = len(tickets)
        self._rpc: grpc.Future[Any] | None = None
        self._lock = threading.Lock()
        for ticket in tickets:
            ticket.batch = self

    def start(self, start: Start, done: Callable[[Batch], None]) -> None:
        """Send it. `done` follows once, from any thread, also where it could not be sent."""
        raw = b"".join([ticket.raw for ticket in self.tickets])
        until_s = max(ticket.deadline_s for ticket in self.tickets)
        timeout_s = min(max(until_s - time.monotonic(), 0.0), ATTEMPT_S)
        try:
            rpc = start(raw, timeout=timeout_s)
        except Exception as error:  # noqa: BLE001 - a closed channel, an interpreter that ends
            self._fail(_fault(f"the call cannot be sent: {error}"))
            done(self)
            return
        with self._lock:
            self._rpc = rpc
            unwanted = not self._wanted
        if unwanted:
            rpc.cancel()
        rpc.add_done_callback(lambda ended: self._end(ended, done))

    def leave(self) -> None:
        """Do without the answer to one of the tickets."""
        with self._lock:
            self._wanted -= 1
            rpc = self._rpc if not self._wanted else None
        if rpc is not None:
            rpc.cancel()

    def _end(self, ended: grpc.Future[Any], done: Callable[[Batch], None]) -> None:
        """Answer the tickets, all of them by the same error where the call failed."""
        try:
            status = status_of(ended)
            if status is not None:
                self._fail(status)
                return
            self._share(self.tickets, ended.result())
        except Exception as error:  # noqa: BLE001 - whatever it is, no caller may be left waiting
            self._fail(_fault(f"the answer cannot be read: {error}"))
        finally:
            done(self)

    def _fail(self, status: Status) -> None:
        for ticket in self.tickets:
            if ticket.pending:
                ticket.error = status


def _fault(message: str) -> Status:
    code: int = grpc.StatusCode.INTERNAL.value[0]
    return Status(code=code, message=message)


def share_results(tickets: list[Ticket], response: pb.BatchResponse) -> None:
    """Give each its own answer or error."""
    for ticket, result in zip(tickets, response.results, strict=True):
        kind = result.WhichOneof("result")
        if kind == "error":
            ticket.error = result.error
        else:
            ticket.response = getattr(result, kind or "result")


def share_whole(tickets: list[Ticket], response: object) -> None:
    """Give the answer to a call of its own."""
    for ticket in tickets:
        ticket.response = response


class Single:
    """Sends what is no operation of a batch, each as a call of its own."""

    def __init__(self, start: Start) -> None:
        self._start = start

    def submit(self, ticket: Ticket) -> None:
        """Send it."""
        Batch([ticket], share_whole).start(self._start, _wake_callers)

    def abandon(self, ticket: Ticket) -> None:
        """Cancel it."""
        if ticket.batch is not None:
            ticket.batch.leave()


class Collector:
    """The operations that wait, and how many batches are under way. Used from any thread."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._waiting: deque[Ticket] = deque()
        self._under_way = 0
        self._operations_under_way = 0

    def submit(self, ticket: Ticket) -> None:
        """Send an operation as soon as there is room."""
        with self._lock:
            self._waiting.append(ticket)
            room = self._under_way < BATCHES_MAX
        if room:
            ticket.waiter.soon(self.send)

    def abandon(self, ticket: Ticket) -> None:
        """Do without an answer: what has not been sent is left out, what has been may be carried out."""
        with self._lock:
            ticket.gone = True
            batch = ticket.batch
        if batch is not None:
            batch.leave()

    def send(self) -> None:
        """Send what waits, as far as there is room."""
        while (batch := self._next()) is not None:
            batch.start(self._start, self._done)

    def _next(self) -> Batch | None:
        with self._lock:
            if self._under_way == BATCHES_MAX:
                return None
            tickets = self._take()
            if not tickets:
                return None
            self._under_way += 1
            self._operations_under_way += len(tickets)
            return Batch(tickets, share_results)

    def _take(self) -> list[Ticket]:
        waiting = self._waiting
        share = (len(waiting) + self._operations_under_way) // SHARES
        most = min(max(share, SHARE_MIN), OPERATIONS_MAX)
        tickets: list[Ticket] = []
        size = 0
        while waiting and len(tickets) < most:
            ticket = waiting[0]
            if not ticket.gone:
                size += len(ticket.raw)
                if tickets and size > BYTES_MAX:
                    break
                tickets.append(ticket)
            waiting.popleft()
        return tickets

    def _done(self, batch: Batch) -> None:
        """Send what has waited, before those who wake can add to it; then wake the callers."""
        with self._lock:
            self._under_way -= 1
            self._operations_under_way -= len(batch.tickets)
        self.send()
        _wake_callers(batch)


def _wake_callers(batch: Batch) -> None:
    wake(ticket.waiter for ticket in batch.tickets)


def wake(waiters: Iterable[Waiter]) -> None:
    """Wake callers, each place once."""
    places: dict[object, list[Waiter]] = {}
    for waiter in waiters:
        places.setdefault(waiter.place, []).append(waiter)
    for together in places.values():
        together[0].wake(together)
