"""What was counted, as messages: the totals of a period, a bucket or an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.usage import DENIED, RELEASED, UsageKind, UsageTotals
from tollkeeper.rpc.convert.values import set_time
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    from tollkeeper.core.answers.views import UsageBucket


def _place(kind: UsageKind) -> int:
    return UsageTotals._fields.index(kind.name.lower())


_OUTCOMES = [
    (ledger_pb2.Outcome.ValueType(kind - RELEASED.start), _place(kind))
    for kind in UsageKind
    if kind in RELEASED
]
"""The outcomes of requests that were released, each with its place in a UsageTotals."""

_REASONS = [
    (ledger_pb2.DenialReason.ValueType(kind - DENIED.start), _place(kind))
    for kind in UsageKind
    if kind in DENIED
]
"""The reasons of denials, in the same way."""


def usage_message(usage: UsageTotals) -> ledger_pb2.Usage:
    """Return the totals of a period, a bucket or an endpoint."""
    return ledger_pb2.Usage(
        requests=usage.requests,
        credits=usage.credits,
        released=usage.released,
        expired=usage.expired,
        denied=usage.denied,
        refunded_credits=usage.refunded_credits,
        free_requests=usage.free,
        released_by_outcome=[
            ledger_pb2.OutcomeCount(outcome=outcome, requests=requests)
            for outcome, place in _OUTCOMES
            if (requests := usage[place])
        ],
        denied_by_reason=[
            ledger_pb2.DenialCount(reason=reason, requests=requests)
            for reason, place in _REASONS
            if (requests := usage[place])
        ],
    )


def add_buckets(
    to: RepeatedCompositeFieldContainer[ledger_pb2.UsageBucket], buckets: Iterable[UsageBucket]
) -> None:
    """Append the buckets of a series."""
    for bucket in buckets:
        set_time(to.add(usage=usage_message(bucket.usage)).start_time, bucket.start_us)
