"""What the ledger answers to Authorize, Commit, Release and Extend: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from tollkeeper_client.v1.enums import DenialReason, Outcome, State

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from tollkeeper_client.v1 import ledger_pb2 as pb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Balance:
    """available = settled + credit_limit - held, at one instant, in credits."""

    available: int
    settled: int
    held: int
    credit_limit: int


@dataclass(frozen=True, slots=True)
class Held:
    """The price is held: process the request, then commit or release."""

    reservation_id: str
    request_id: str
    credits: int
    price_version: int
    state: State
    """HELD, unless this repeats a request that has been settled since."""
    create_time: datetime
    expire_time: datetime
    balance: Balance
    replayed: bool


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing is held and nothing is to commit: no price list names the endpoint, or it was a dry run."""

    request_id: str
    credits: int
    """What a dry run would have held; else 0."""
    price_version: int
    balance: Balance


@dataclass(frozen=True, slots=True)
class Denied:
    """Do not process the request; answer the caller with `http_status`."""

    request_id: str
    reason: DenialReason
    message: str
    credits: int
    """The price that was asked for."""
    retry_after: timedelta | None
    """When trying again could succeed; None where waiting alone cannot help."""
    limit: str
    """The name of the limit that refused; else empty."""
    http_status: int
    balance: Balance


Decision: TypeAlias = Held | Free | Denied


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a hold: COMMITTED where the response was valid; RELEASED or EXPIRED where it was not."""

    state: State
    outcome: Outcome
    credits: int
    """What was charged: the price, or 0."""
    balance: Balance
    late: bool
    """The hold had expired before."""
    replayed: bool


@dataclass(frozen=True, slots=True)
class Released:
    """A hold that was given back, or had expired."""

    state: State
    balance: Balance
    replayed: bool


@dataclass(frozen=True, slots=True)
class Extended:
    """A hold that is open for longer."""

    expire_time: datetime
    """When it gives its credits back now."""
    balance: Balance


def read_decision(response: pb.AuthorizeResponse, request_id: str) -> Decision:
    """Read the answer to an Authorize."""
    balance = read_balance(response.balance)
    if response.HasField("denial"):
        denial = response.denial
        retry_after = None
        if denial.HasField("retry_after"):
            delay = denial.retry_after
            retry_after = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1_000)
        return Denied(
            request_id,
            DenialReason(denial.reason),
            denial.message,
            denial.credits,
            retry_after,
            denial.limit,
            denial.http_status,
            balance,
        )
    held = response.reservation
    if not held.reservation_id:
        return Free(request_id, held.credits, held.price_version, balance)
    return Held(
        held.reservation_id,
        request_id,
        held.credits,
        held.price_version,
        State(held.state),
        read_time(held.create_time),
        read_time(held.expire_time),
        balance,
        response.replayed,
    )


def read_committed(response: pb.CommitResponse, _key: str) -> Committed:
    """Read the answer to a Commit."""
    return Committed(
        State(response.state),
        Outcome(response.outcome),
        response.credits,
        read_balance(response.balance),
        response.late,
        response.replayed,
    )


def read_released(response: pb.ReleaseResponse, _key: str) -> Released:
    """Read the answer to a Release."""
    return Released(State(response.state), read_balance(response.balance), response.replayed)


def read_extended(response: pb.ExtendResponse, _key: str) -> Extended:
    """Read the answer to an Extend."""
    return Extended(read_time(response.expire_time), read_balance(response.balance))


def read_balance(balance: pb.Balance) -> Balance:
    """Read a balance."""
    return Balance(balance.available, balance.settled, balance.held, balance.credit_limit)


def read_time(time: Timestamp) -> datetime:
    """Read a time, to the microsecond, in UTC."""
    return _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1_000)
