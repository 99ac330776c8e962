"""Histograms and what is counted with them, on their own."""

import asyncio
import pickle

import pytest

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.usage import DenialReason
from tollkeeper.engine.background.backlog import BacklogWatch
from tollkeeper.engine.counts import (
    CLIENTS_MAX,
    OTHER_CLIENT,
    Backlog,
    Client,
    Counts,
    EndedCall,
    added_clients,
)
from tollkeeper.engine.histograms import Histogram, merged
from tollkeeper.engine.work import Flow, Work

BOUNDS = (0.001, 0.01, 1.0)
CALL = EndedCall("unary", "tollkeeper.v1.LedgerService", "Commit", "OK")
NOTHING_WAITS = Backlog(1, 0, None, None, 0, 0)


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.001, 0), (0.0011, 1), (0.01, 1), (0.5, 2), (1.0, 2), (1.5, 3), (1e9, 3)],
)
def test_a_value_that_equals_a_bound_is_counted_with_it(value: float, bucket: int) -> None:
    seen = Histogram(BOUNDS)

    seen.add(value)

    assert seen.counts == [int(number == bucket) for number in range(4)]
    assert (seen.count, seen.total) == (1, value)


def test_many_values_are_counted_as_each_of_them() -> None:
    one_by_one, together, times = Histogram(BOUNDS), Histogram(BOUNDS), Histogram(BOUNDS)
    for _ in range(3):
        one_by_one.add(0.5)

    together.add_all([0.5, 0.5, 0.5])
    times.add(0.5, 3)

    assert one_by_one == together == times
    assert together.cumulative == [0, 0, 3, 3]


def test_two_histograms_add_up_and_stay_as_they_were() -> None:
    first, second = Histogram(BOUNDS), Histogram(BOUNDS)
    first.add_all([0.0, 2.0])
    second.add(2.0)

    both = pickle.loads(pickle.dumps(merged(first, second)))  # noqa: S301 -- as processes tell them

    assert (both.counts, both.total) == ([1, 0, 0, 2], 4.0)
    assert (first.counts, second.counts) == ([1, 0, 0, 1], [0, 0, 0, 1])


def test_work_goes_on_where_that_of_an_ended_process_was() -> None:
    ended, now = Work(), Work()
    ended.denials[DenialReason.LIMIT_EXCEEDED] = 2
    ended.credits[Flow.HELD] = 30
    ended.commit_times.add(0.1)
    now.denials[DenialReason.LIMIT_EXCEEDED] = 1
    now.commit_times.add(0.2)
    took = Histogram(BOUNDS)
    took.add(0.1)
    backlog = NOTHING_WAITS._replace(holds_open=7)

    told = Counts({CALL: took}, work=now, mover_lag_s=2.0).after(
        Counts({CALL: took}, work=ended, backlog=backlog, mover_lag_s=9.0)
    )

    assert told.calls[CALL].count == 2
    assert told.work.denials == {DenialReason.LIMIT_EXCEEDED: 3}
    assert told.work.credits == {Flow.HELD: 30}
    assert told.work.commit_times.count == 2
    # What waits is not added up: it is as the process sees it that is there now.
    assert (told.backlog, told.mover_lag_s) == (None, 2.0)


def test_clients_of_many_processes_are_no_more_than_of_one() -> None:
    total: dict[Client, int] = {}
    for process in range(5):
        mine = {Client("grpc-go", f"{process}.{number}"): 1 for number in range(CLIENTS_MAX)}
        total = added_clients(mine, total)

    assert sum(total.values()) == 5 * CLIENTS_MAX
    assert len(total) == CLIENTS_MAX + 1
    assert total[OTHER_CLIENT] == 4 * CLIENTS_MAX


async def test_a_look_that_fails_leaves_what_was_seen_and_is_tried_again() -> None:
    looks: list[int] = []
    fails, again = asyncio.Event(), asyncio.Event()

    async def look() -> Backlog:
        looks.append(len(looks))
        if len(looks) == 2:
            fails.set()
            raise Refused(Reason.STORE_UNAVAILABLE, "the ledger's store cannot be reached")
        if len(looks) == 3:
            again.set()
        return NOTHING_WAITS._replace(holds_open=len(looks))

    watch = BacklogWatch(look, every_s=0.001)
    before = watch.seen
    running = asyncio.create_task(watch.run())
    await fails.wait()
    meanwhile = watch.seen
    await again.wait()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert before is None
    assert meanwhile is not None
    assert meanwhile.holds_open == 1
    assert watch.seen is not None
    assert watch.seen.holds_open >= 3
