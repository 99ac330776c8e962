"""What the metrics page shows of a service as a whole: calls, clients, what the lanes have done, and what waits.

No label has a value that a caller chooses, or that there is one of for each account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from tollkeeper.core.usage import DenialReason
from tollkeeper.engine.work import Flow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from tollkeeper.engine.counts import Backlog, Client, EndedCall
    from tollkeeper.engine.histograms import Histogram
    from tollkeeper.engine.work import Work

_CALL = ("grpc_type", "grpc_service", "grpc_method", "grpc_code")
_US_PER_S = 1_000_000

_CREDITS = {
    Flow.HELD: "Credits that were held by Authorize.",
    Flow.CHARGED: "Credits that were charged, also late.",
    Flow.RELEASED: "Credits of holds that a commit or a release has given back.",
    Flow.EXPIRED: "Credits of holds that were given back at their deadline.",
    Flow.REFUNDED: "Credits of charges that were refunded.",
}


def of_calls(calls: Mapping[EndedCall, Histogram]) -> Iterator[Metric]:
    """Yield how many calls have ended, and how long they took."""
    handled = CounterMetricFamily(
        "grpc_server_handled",
        "Calls that have ended, by method and status code, of all processes.",
        labels=_CALL,
    )
    handling = HistogramMetricFamily(
        "grpc_server_handling_seconds",
        "How long calls took until they ended; a stream lasts as long as its caller likes.",
        labels=_CALL,
    )
    for call, took in sorted(calls.items(), key=lambda item: item[0]):
        handled.add_metric(call, took.count)
        if took.count:
            _add(handling, call, took)
    yield from (handled, handling)


def of_clients(clients: Mapping[Client, int]) -> Iterator[Metric]:
    """Yield calls by the library that made them."""
    family = CounterMetricFamily(
        "tollkeeper_client_calls",
        "Calls by the library that made them, and major.minor of its version.",
        labels=("library", "version"),
    )
    for client, calls in sorted(clients.items()):
        family.add_metric(client, calls)
    yield family


def of_work(work: Work) -> Iterator[Metric]:
    """Yield denials, credits, and what is told of turns and transactions."""
    denials = CounterMetricFamily(
        "tollkeeper_denials", "Authorizes that were denied, by reason.", labels=("reason",)
    )
    for reason in DenialReason:
        denials.add_metric((reason.name,), work.denials[reason])
    yield denials
    for flow, says in _CREDITS.items():
        yield CounterMetricFamily(f"tollkeeper_credits_{flow}", says, work.credits[flow])
    yield _histogram(
        "tollkeeper_batch_operations",
        "Operations that a writer was given at once, for one transaction.",
        work.batch_sizes,
    )
    yield _histogram(
        "tollkeeper_queue_wait_seconds",
        "How long an operation waited until a writer was given it.",
        work.queue_waits,
    )
    yield _histogram(
        "tollkeeper_transaction_lock_wait_seconds",
        "From the beginning of a transaction until it had all its locks.",
        work.lock_waits,
    )
    yield _histogram(
        "tollkeeper_transaction_database_seconds",
        "How long a transaction took, without its decisions.",
        work.database_times,
    )
    yield _histogram(
        "tollkeeper_transaction_commit_seconds",
        "How long a transaction took to write and to commit.",
        work.commit_times,
    )


def of_backlog(backlog: Backlog | None, mover_lag_s: float | None) -> Iterator[Metric]:
    """Yield what waits in the ledger: families without a value where it is not known."""
    yield _gauge(
        "tollkeeper_holds_open", "Holds that have not ended.", backlog and backlog.holds_open
    )
    yield _gauge(
        "tollkeeper_sweep_lag_seconds",
        "By how much the oldest open hold is past its deadline.",
        backlog and _since_s(backlog, backlog.oldest_deadline_us),
    )
    yield _gauge(
        "tollkeeper_mover_lag_seconds",
        "By how much the oldest reservation that is to be moved out is past its retention time.",
        mover_lag_s,
    )
    yield _gauge(
        "tollkeeper_unplaced_event_age_seconds",
        "The age of the oldest event that watchers and webhooks cannot see yet.",
        backlog and _since_s(backlog, backlog.oldest_event_us),
    )
    yield _gauge(
        "tollkeeper_webhook_deliveries_due",
        "Deliveries to active webhooks whose time has come.",
        backlog and backlog.deliveries_due,
    )
    yield _gauge(
        "tollkeeper_webhook_deliveries_dead",
        "Deliveries that are not tried again.",
        backlog and backlog.deliveries_dead,
    )
    yield _gauge(
        "tollkeeper_backlog_timestamp_seconds",
        "When the ledger was asked last for what waits in it, in Unix time.",
        backlog and backlog.now_us / _US_PER_S,
    )


def _since_s(backlog: Backlog, then_us: int | None) -> float:
    """Return how long ago something was, 0 where it is to come or is not there."""
    return 0.0 if then_us is None else max(0.0, (backlog.now_us - then_us) / _US_PER_S)


def _gauge(name: str, says: str, value: float | None) -> Metric:
    return GaugeMetricFamily(name, says, value)


def _histogram(name: str, says: str, values: Histogram) -> Metric:
    family = HistogramMetricFamily(name, says, labels=())
    _add(family, (), values)
    return family


def _add(family: HistogramMetricFamily, labels: Sequence[str], values: Histogram) -> None:
    bounds = [*map(str, values.bounds), "+Inf"]
    family.add_metric(labels, list(zip(bounds, values.cumulative, strict=True)), values.total)
