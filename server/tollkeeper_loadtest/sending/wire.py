"""Operations as the messages of the ledger's contract, and its responses as plain answers."""

from __future__ import annotations

from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.operations import (
    Authorize,
    Commit,
    Denied,
    Held,
    Operation,
    Release,
    Settled,
)

_NANOS = 1_000_000_000


def authorize_request(asked: Authorize) -> pb.AuthorizeRequest:
    """Return the message of an Authorize."""
    request = pb.AuthorizeRequest(
        account_id=asked.account_id,
        method=asked.method,
        path=asked.path,
        request_id=asked.request_id,
    )
    if asked.hold_s is not None:
        request.hold.seconds = asked.hold_s
    return request


def commit_request(asked: Commit) -> pb.CommitRequest:
    """Return the message of a Commit."""
    request = pb.CommitRequest(reservation_id=asked.reservation_id)
    if asked.outcome is None:
        request.http_status = asked.http_status
    else:
        request.outcome = pb.Outcome.ValueType(asked.outcome)
    return request


def release_request(asked: Release) -> pb.ReleaseRequest:
    """Return the message of a Release."""
    request = pb.ReleaseRequest(reservation_id=asked.reservation_id)
    if asked.outcome is not None:
        request.outcome = pb.Outcome.ValueType(asked.outcome)
    return request


def part_of_batch(asked: Operation) -> pb.Operation:
    """Return an operation as a part of a Batch or Session."""
    if isinstance(asked, Authorize):
        return pb.Operation(authorize=authorize_request(asked))
    if isinstance(asked, Commit):
        return pb.Operation(commit=commit_request(asked))
    return pb.Operation(release=release_request(asked))


def authorized(response: pb.AuthorizeResponse) -> Held | Denied:
    """Read the answer to an Authorize."""
    if response.HasField("denial"):
        return Denied(response.denial.reason, response.denial.message)
    held = response.reservation
    begin, end = held.create_time, held.expire_time
    hold_s = end.seconds - begin.seconds + (end.nanos - begin.nanos) / _NANOS
    return Held(
        held.reservation_id, held.credits, held.price_version, hold_s, replayed=response.replayed
    )


def committed(response: pb.CommitResponse) -> Settled:
    """Read the answer to a Commit."""
    return Settled(response.state, response.outcome, response.credits, response.late)


def released(response: pb.ReleaseResponse) -> Settled:
    """Read the answer to a Release."""
    return Settled(response.state, 0, 0, late=False)
