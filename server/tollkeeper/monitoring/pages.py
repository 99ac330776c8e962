"""The pages: metrics in Prometheus's text format, health and readiness as JSON.

Calls are added up over all processes, and carry the names that gRPC's own libraries use for them; what belongs to a
process or a lane says which.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from tollkeeper.monitoring import families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from tollkeeper.monitoring.view import ServiceView, WorkerView

_WORKER = ("worker",)
_LANE = ("worker", "lane")


def metrics_page(view: ServiceView) -> bytes:
    """Write the metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(view))
    return generate_latest(registry)


def health_page(view: ServiceView) -> str:
    """Write the health, with a line for each process."""
    page = {
        "serving": view.serves,
        "workers": [_health(worker) for worker in view.workers],
    }
    return json.dumps(page, indent=2) + "\n"


def readiness_page(view: ServiceView) -> str:
    """Write whether calls can be carried out, with a line for each process."""
    page = {
        "ready": view.is_ready,
        "stopping": view.stopping,
        "workers": [
            {
                "worker": worker.number,
                "ready": worker.is_ready,
                "serving": worker.serves,
                "database_silent_s": round(worker.database_silent_s, 1) if worker.answers else None,
            }
            for worker in view.workers
        ],
    }
    return json.dumps(page, indent=2) + "\n"


def _health(worker: WorkerView) -> dict[str, object]:
    since = datetime.fromtimestamp(worker.since_s, UTC).isoformat(timespec="seconds")
    return {
        "worker": worker.number,
        "pid": worker.pid,
        "serving": worker.serves,
        "since": since.replace("+00:00", "Z") if worker.pid is not None else None,
        "restarts": worker.restarts,
        "in_flight": worker.counts.in_flight if worker.answers else None,
    }


class _Families:
    """What prometheus_client collects: the families of one view."""

    def __init__(self, view: ServiceView) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """Yield each family."""
        yield GaugeMetricFamily(
            "tollkeeper_serving",
            "1 while any process takes calls and none is to stop.",
            int(self._view.serves),
        )
        total = self._view.counts
        yield from families.of_calls(total.calls)
        yield from families.of_clients(total.clients)
        yield from self._of_workers()
        yield from self._of_lanes()
        yield from families.of_work(total.work)
        yield from families.of_backlog(self._view.backlog, self._view.mover_lag_s)

    def _of_workers(self) -> Iterator[Metric]:
        workers = self._view.workers
        answering = [worker for worker in workers if worker.answers]
        yield _gauge(
            "tollkeeper_worker_up",
            "1 while the process takes calls and tells its counts.",
            [(worker, int(worker.serves and worker.answers)) for worker in workers],
        )
        yield _gauge(
            "tollkeeper_worker_start_time_seconds",
            "When the process began, in Unix time.",
            [(worker, worker.since_s) for worker in workers if worker.pid is not None],
        )
        restarts = CounterMetricFamily(
            "tollkeeper_worker_restarts", "How often the process was replaced.", labels=_WORKER
        )
        for worker in workers:
            restarts.add_metric((str(worker.number),), worker.restarts)
        yield restarts
        yield _gauge(
            "tollkeeper_calls_in_flight",
            "Calls that have come and are not answered.",
            [(worker, worker.counts.in_flight) for worker in answering],
        )
        yield _gauge(
            "tollkeeper_watchers",
            "Streams of events that are followed.",
            [(worker, worker.counts.watchers) for worker in answering],
        )

    def _of_lanes(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "tollkeeper_lane_waiting", "Operations that wait for the lane's writer.", labels=_LANE
        )
        batches = CounterMetricFamily(
            "tollkeeper_lane_batches", "Batches, of one transaction each.", labels=_LANE
        )
        operations = CounterMetricFamily(
            "tollkeeper_lane_operations", "Operations in those batches.", labels=_LANE
        )
        losses = CounterMetricFamily(
            "tollkeeper_lane_writer_losses", "How often the lane's writer was lost.", labels=_LANE
        )
        silence = GaugeMetricFamily(
            "tollkeeper_lane_database_silent_seconds",
            "How long ago the database last answered the lane's writer.",
            labels=_LANE,
        )
        for worker in self._view.workers:
            for number, lane in enumerate(worker.counts.lanes):
                labels = (str(worker.number), str(number))
                if worker.answers:
                    waiting.add_metric(labels, lane.waiting)
                    silence.add_metric(labels, lane.silent_s)
                batches.add_metric(labels, lane.batches)
                operations.add_metric(labels, lane.operations)
                losses.add_metric(labels, lane.losses)
        yield from (waiting, batches, operations, losses, silence)


def _gauge(name: str, says: str, values: Iterable[tuple[WorkerView, float]]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=_WORKER)
    for worker, value in values:
        family.add_metric((str(worker.number),), value)
    return family
