"""The generator of a load by itself: what it sends, what it counts, and what that costs. No server is asked."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.loadtest.settings import LEADS, settings
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.measuring import latency
from tollkeeper_loadtest.measuring.figures import Second
from tollkeeper_loadtest.measuring.own_time import ONE_IN, OwnTime
from tollkeeper_loadtest.measuring.recorder import AUTHORIZE, PAIR, SETTLE, Recorder
from tollkeeper_loadtest.operations import Authorize, Denied, Held, Settled
from tollkeeper_loadtest.reporting.summary import warnings
from tollkeeper_loadtest.sending import wire
from tollkeeper_loadtest.sending.generator import Generator
from tollkeeper_loadtest.sending.messages import Phase
from tollkeeper_loadtest.sending.transport import Answer, Repeats
from tollkeeper_loadtest.settings import parse_mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper_loadtest.measuring.figures import Figures
    from tollkeeper_loadtest.operations import Operation
    from tollkeeper_loadtest.reporting.report import Report
    from tollkeeper_loadtest.settings import LoadSettings

REQUESTS = 200


class FromMemory:
    """Answers at once that all is well: every request is held, and charged."""

    def __init__(self) -> None:
        self.repeats = Repeats()
        self.asked: list[Authorize] = []
        self._number = itertools.count()

    async def carry_out(self, operations: Sequence[Operation]) -> list[Answer]:
        return [self._answer(each) for each in operations]

    async def close(self) -> None:
        pass

    def _answer(self, asked: Operation) -> Answer:
        if isinstance(asked, Authorize):
            self.asked.append(asked)
            return Held(f"r-{next(self._number)}", LEADS.credits, 3, 60.0, replayed=False)
        return Settled(
            pb.RESERVATION_STATE_COMMITTED, pb.OUTCOME_VALID_RESPONSE, LEADS.credits, late=False
        )


def charged(**changes: object) -> LoadSettings:
    """Settings of a load of which every request is charged."""
    return settings(mix=parse_mix("200=1"), expired=0.0, endpoints=(LEADS,), **changes)


def sent(
    run: LoadSettings, worker: int, count: int, *, rate: float | None = None
) -> tuple[Generator, list[Authorize], Figures]:
    """Let one generator send so many requests."""
    transport = FromMemory()
    generator = Generator(worker, run, transport)
    phase = Phase(time.monotonic(), 30.0, rate, 0.0, run.callers, count)
    figures = asyncio.run(generator.carry_out(phase, lambda _: None))
    return generator, transport.asked, figures


@pytest.mark.parametrize("size", [1, 2, 3])
def test_several_generators_send_the_requests_that_one_would_send(size: int) -> None:
    _, alone, _ = sent(charged(), 0, REQUESTS)

    together = [
        asked
        for worker in range(size)
        for asked in sent(
            charged(processes=size), worker, REQUESTS // size + (worker < REQUESTS % size)
        )[1]
    ]

    assert len({each.request_id for each in together}) == REQUESTS
    assert set(together) == set(alone)


@pytest.mark.parametrize("rate", [None, 100_000.0])
@pytest.mark.parametrize("group", [1, 7])
def test_every_answer_is_checked_counted_and_measured(group: int, rate: float | None) -> None:
    generator, _, figures = sent(charged(group=group), 0, REQUESTS, rate=rate)

    tally = generator.checker.tally
    assert sum(each.charged for each in tally.counts.values()) == REQUESTS
    assert tally.unexpected == []
    assert (figures.pairs, figures.requests, figures.operations) == (
        REQUESTS,
        REQUESTS,
        2 * REQUESTS,
    )
    for kind in (AUTHORIZE, SETTLE, PAIR):
        assert latency.decoded(figures.hdr[kind]).get_total_count() == REQUESTS
    assert figures.own_s > 0
    assert figures.processor_s > 0


@pytest.mark.parametrize("digits", [latency.DIGITS, latency.DIGITS_OF_A_SECOND])
def test_a_histogram_filled_by_buckets_is_one_that_took_in_each_value(digits: int) -> None:
    draw = random.Random(1)
    edges = [2**power + more for power in range(32) for more in (-1, 0, 1)]
    values = [
        *edges,
        3_599_999_999,
        3_600_000_001,
        *(int(10 ** draw.uniform(0, 9)) for _ in range(2_000)),
    ]
    counts: dict[int, int] = {}
    one_by_one, filled = latency.histogram(digits), latency.histogram(digits)

    for value in values:
        one_by_one.record_value(min(latency.LONGEST_US, max(1, value)))
        bucket = latency.bucket_of((value + 0.5) / 1_000_000)
        counts[bucket] = counts.get(bucket, 0) + 1
    latency.fill(filled, counts)

    assert filled.encode() == one_by_one.encode()
    assert latency.figures(filled) == latency.figures(one_by_one)


def test_a_second_is_told_when_it_is_over_and_all_of_them_are_the_phase() -> None:
    told: list[Second] = []
    recorder = Recorder(100.0, told.append)

    for now_s in (100.1, 100.9, 102.0, 102.5):
        recorder.answered(AUTHORIZE, now_s, 0.010)
        recorder.answered(SETTLE, now_s, 0.020)
        recorder.ended(now_s, pair_s=0.030)
    figures = recorder.close(unsent=0)

    assert [(each.second, each.pairs, each.operations) for each in told] == [(0, 2, 4), (2, 2, 4)]
    assert latency.decoded(told[0].hdr).get_total_count() == 4
    assert (figures.pairs, figures.requests, figures.operations) == (4, 4, 8)


def test_own_time_is_that_of_the_timed_groups_times_all() -> None:
    groups = 2 * ONE_IN + 3
    clock = itertools.count()  # each reading costs a second

    with mock.patch("time.thread_time", side_effect=lambda: float(next(clock))):
        own = OwnTime()
        for _ in range(groups):
            lap = own.lap()
            for _ in range(5):
                next(clock)
            lap.pause()
            lap.resume()
            for _ in range(2):
                next(clock)
            lap.pause()

    assert own.seconds() == pytest.approx((5 + 2) * groups)


def test_own_time_is_not_told_of_too_few_groups() -> None:
    own = OwnTime()

    for _ in range(ONE_IN - 1):
        own.lap().pause()

    assert own.seconds() == 0


@pytest.mark.parametrize(
    ("busy", "warned"), [([0.5, 0.95], True), ([0.5, 0.6], False), ([], False)]
)
def test_one_generator_of_several_that_uses_a_processor_is_warned_of(
    busy: list[float], warned: bool
) -> None:
    report: Report = {
        "load": {"busy": busy, "errors": {}, "unsent": 0},
        "run": {"interrupted": False},
    }

    assert any("a generator used a whole processor" in line for line in warnings(report)) == warned


def test_a_hold_is_read_with_how_long_it_lasts() -> None:
    held = pb.Reservation(
        reservation_id="r",
        credits=10,
        price_version=3,
        create_time=Timestamp(seconds=100, nanos=750_000_000),
        expire_time=Timestamp(seconds=160, nanos=250_000_000),
    )
    denial = pb.Denial(reason=pb.DENIAL_REASON_ACCOUNT_BLOCKED, message="blocked")

    assert wire.authorized(pb.AuthorizeResponse(reservation=held, replayed=True)) == Held(
        "r", 10, 3, 59.5, replayed=True
    )
    assert wire.authorized(pb.AuthorizeResponse(denial=denial)) == Denied(
        pb.DENIAL_REASON_ACCOUNT_BLOCKED, "blocked"
    )
