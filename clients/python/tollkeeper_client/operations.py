"""Operations as they travel. Each is written once, by its caller: what cannot be written is that caller's error alone.

An operation is a whole BatchRequest with itself in it. Messages that follow each other are one message with the
operations of all of them (protobuf's own rule for repeated fields), so a batch is the operations' bytes in a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from tollkeeper_client.answers import (
    Committed,
    Decision,
    Extended,
    Held,
    Outcome,
    Released,
    read_committed,
    read_decision,
    read_extended,
    read_released,
)
from tollkeeper_client.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(slots=True)  # not frozen, which takes three times as long to make
class Operation(Generic[T]):
    """What to send, the key that it is repeated with, and how its answer is read."""

    raw: bytes
    key: str
    read: Callable[[Any, str], T]
    batched: bool = True


def authorize(
    account_id: str,
    method: str,
    path: str,
    *,
    request_id: str | None,
    hold: timedelta | None,
    dry_run: bool,
) -> Operation[Decision]:
    """Hold the price of a request. Without a request_id one is made, here, before the first attempt."""
    batch = pb.BatchRequest()
    request = batch.operations.add().authorize
    request.account_id = account_id
    request.method = method
    request.path = path
    key = uuid4().hex if request_id is None else request_id
    request.request_id = key
    if hold is not None:
        request.hold.FromTimedelta(hold)
    if dry_run:
        request.dry_run = True
    return Operation(batch.SerializeToString(), key, read_decision)


def commit(
    reservation: Held | str, *, http_status: int | None, outcome: Outcome | None
) -> Operation[Committed]:
    """Settle a hold by exactly one of the two. Raises ValueError for none or both."""
    if (http_status is None) == (outcome is None):
        raise ValueError("commit takes either http_status or outcome")
    batch = pb.BatchRequest()
    request = batch.operations.add().commit
    key = reservation if isinstance(reservation, str) else reservation.reservation_id
    request.reservation_id = key
    if http_status is not None:
        request.http_status = http_status
    if outcome is not None:
        request.outcome = outcome.value  # pyright: ignore[reportAttributeAccessIssue] -- the same numbers
    return Operation(batch.SerializeToString(), key, read_committed)


def release(reservation: Held | str, *, outcome: Outcome) -> Operation[Released]:
    """Give a hold back."""
    batch = pb.BatchRequest()
    request = batch.operations.add().release
    key = reservation if isinstance(reservation, str) else reservation.reservation_id
    request.reservation_id = key
    request.outcome = outcome.value  # pyright: ignore[reportAttributeAccessIssue] -- the same numbers
    return Operation(batch.SerializeToString(), key, read_released)


def extend(reservation: Held | str, *, hold: timedelta | None) -> Operation[Extended]:
    """Prolong a hold."""
    batch = pb.BatchRequest()
    request = batch.operations.add().extend
    key = reservation if isinstance(reservation, str) else reservation.reservation_id
    request.reservation_id = key
    if hold is not None:
        request.hold.FromTimedelta(hold)
    return Operation(batch.SerializeToString(), key, read_extended)
