"""Lanes that share turns: side by side where each has enough to do, and else one for all."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.core.commands import DoWhatIsDue
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.lanes.attempt import Later
from tollkeeper.engine.lanes.fold import Reply
from tollkeeper.engine.lanes.lane import TURN_MIN, Lane
from tollkeeper.engine.lanes.locked_out import AGAIN_AFTER_S
from tollkeeper.engine.lanes.writer import Execute, PlaceEvents, Task
from tollkeeper.engine.settings import EngineSettings

FEW = 3
APART_MIN = EngineSettings().apart_min
SPAN = 1_000_000
"""Operations of the n-th lane have numbers from n times as many on."""


class Writer:
    """A host that keeps what it is given until the test answers."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.lane: Lane | None = None

    async def start(self, lane: Lane) -> None:
        self.lane = lane
        lane.up()

    def send(self, task: Task) -> None:
        self.tasks.append(task)

    async def stop(self) -> None: ...

    def kill(self) -> None: ...

    def numbers(self) -> list[int]:
        """Return the operations of the oldest task."""
        task = self.tasks[0]
        commands = cast("Sequence[DoWhatIsDue]", task.commands) if isinstance(task, Execute) else ()
        return [each.account_key for each in commands]

    def answer(self) -> None:
        """Answer the oldest task: each operation with its own number."""
        assert self.lane is not None
        numbers = self.numbers()
        is_job = not isinstance(self.tasks.pop(0), Execute)
        self.lane.answered(None if is_job else numbers)


class Lanes:
    """Lanes that share turns, their writers, and the numbers that were submitted."""

    def __init__(self, count: int, settings: EngineSettings | None = None) -> None:
        self.writers = [Writer() for _ in range(count)]
        self.lanes = [Lane(writer, settings or EngineSettings()) for writer in self.writers]
        self._submitted = [0] * count

    async def start(self) -> None:
        for lane in self.lanes:
            lane.share_turns(self.lanes)
            await lane.start()

    def submit(self, lane: int, count: int) -> list[asyncio.Future[Reply]]:
        first = lane * SPAN + self._submitted[lane]
        self._submitted[lane] += count
        return [self.lanes[lane].submit(DoWhatIsDue(first + each)) for each in range(count)]

    def at_work(self) -> list[set[int]]:
        """Return whose operations each writer has."""
        return [
            {
                each.account_key // SPAN
                for task in writer.tasks
                if isinstance(task, Execute)
                for each in cast("Sequence[DoWhatIsDue]", task.commands)
            }
            for writer in self.writers
        ]


@pytest.fixture
async def two() -> Lanes:
    lanes = Lanes(2)
    await lanes.start()
    return lanes


async def test_few_operations_of_two_lanes_are_one_transaction(two: Lanes) -> None:
    two.submit(0, FEW)
    two.submit(1, FEW)
    await asyncio.sleep(0)

    assert two.writers[0].numbers() == [0, 1, 2, SPAN, SPAN + 1, SPAN + 2]
    assert two.writers[1].tasks == []


async def test_an_operation_alone_goes_to_the_writer_of_its_own_lane(two: Lanes) -> None:
    two.submit(1, 1)
    await asyncio.sleep(0)

    assert two.at_work() == [set(), {1}]


async def test_many_operations_of_two_lanes_are_carried_out_side_by_side(two: Lanes) -> None:
    two.submit(0, APART_MIN)
    two.submit(1, APART_MIN)
    await asyncio.sleep(0)

    assert two.at_work() == [{0}, {1}]


async def test_few_operations_wait_while_another_lane_works_and_go_with_its_next_turn(
    two: Lanes,
) -> None:
    two.submit(0, APART_MIN)
    await asyncio.sleep(0)
    two.submit(1, FEW)
    two.submit(0, FEW)
    await asyncio.sleep(0)
    before = two.at_work()

    two.writers[0].answer()

    assert before == [{0}, set()]
    assert two.at_work() == [{0, 1}, set()]


async def test_they_go_alone_where_the_other_lane_has_nothing_more(two: Lanes) -> None:
    two.submit(0, APART_MIN)
    await asyncio.sleep(0)
    two.submit(1, FEW)
    await asyncio.sleep(0)

    two.writers[0].answer()

    assert two.at_work() == [set(), {1}]


async def test_a_job_does_not_wait_for_another_lane(two: Lanes) -> None:
    two.submit(0, APART_MIN)
    await asyncio.sleep(0)

    two.lanes[1].submit_job(PlaceEvents())
    await asyncio.sleep(0)

    assert two.writers[1].tasks == [PlaceEvents()]


async def test_a_job_waits_until_no_other_lane_has_operations_of_its_own(two: Lanes) -> None:
    two.submit(0, FEW)
    two.submit(1, FEW)
    await asyncio.sleep(0)

    two.lanes[1].submit_job(PlaceEvents())
    await asyncio.sleep(0)
    before = list(two.writers[1].tasks)
    two.writers[0].answer()

    assert (before, two.writers[1].tasks) == ([], [PlaceEvents()])


async def test_what_a_lost_writer_had_of_another_lane_is_refused_and_the_rest_goes_on(
    two: Lanes,
) -> None:
    calls = [*two.submit(0, FEW), *two.submit(1, FEW)]
    await asyncio.sleep(0)
    later = two.submit(1, 1)

    two.lanes[0].down()
    two.writers[1].answer()

    refused = [cast("Refused", each.exception()) for each in calls]
    assert {each.reason for each in refused} == {Reason.STORE_UNAVAILABLE}
    assert [each.result() for each in later] == [SPAN + FEW]


async def test_a_lane_without_a_writer_hands_nothing_over(two: Lanes) -> None:
    two.lanes[1].down()
    two.submit(1, FEW)
    two.submit(0, FEW)
    await asyncio.sleep(0)

    assert two.at_work() == [{0}, set()]
    two.lanes[1].up()
    two.writers[0].answer()
    assert two.at_work() == [set(), {1}]
    two.writers[1].answer()


async def test_a_lane_is_free_after_its_job_while_another_works(two: Lanes) -> None:
    two.submit(0, APART_MIN)
    two.lanes[1].submit_job(PlaceEvents())
    await asyncio.sleep(0)

    two.writers[1].answer()

    await asyncio.wait_for(two.lanes[1].free(), 1)


async def test_a_turn_of_two_lanes_is_no_larger_than_a_transaction_may_be() -> None:
    lanes = Lanes(2, EngineSettings(batch_max=FEW + 1))
    await lanes.start()

    lanes.submit(0, FEW)
    lanes.submit(1, 2)
    await asyncio.sleep(0)

    assert (lanes.writers[0].numbers(), lanes.at_work()) == ([0, 1, 2], [{0}, set()])
    lanes.writers[0].answer()
    assert lanes.at_work() == [set(), {1}]


async def test_a_lane_whose_callers_have_gone_is_free(two: Lanes) -> None:
    two.submit(0, FEW)
    for call in two.submit(1, FEW):
        call.cancel()
    await asyncio.sleep(0)

    assert two.at_work() == [{0}, set()]
    await asyncio.wait_for(two.lanes[1].free(), 1)


async def test_a_stop_waits_for_what_another_lane_has(two: Lanes) -> None:
    two.submit(0, FEW)
    two.submit(1, FEW)
    await asyncio.sleep(0)
    stopping = asyncio.create_task(two.lanes[1].stop())
    await asyncio.sleep(0)
    early = stopping.done()

    two.writers[0].answer()
    await stopping

    assert not early


async def test_what_is_locked_out_comes_again_in_its_own_lane(two: Lanes) -> None:
    two.submit(0, 1)
    (locked,) = two.submit(1, 1)
    await asyncio.sleep(0)

    two.lanes[0].answered([0, Later.LOCKED])
    await asyncio.sleep(2 * AGAIN_AFTER_S)
    two.writers[1].answer()

    assert locked.result() == SPAN


COUNTS = st.sampled_from([1, FEW, APART_MIN - 1, APART_MIN, TURN_MIN, TURN_MIN + 7])


class Story:
    """Operations come, and writers answer, in an order that is drawn."""

    def __init__(self, count: int) -> None:
        self.lanes = Lanes(count)
        self._calls: list[list[asyncio.Future[Reply]]] = [[] for _ in range(count)]
        self._done: list[list[int]] = [[] for _ in range(count)]

    def submit(self, lane: int, count: int) -> None:
        self._calls[lane] += self.lanes.submit(lane, count)

    def answer(self, writer: Writer) -> None:
        for number in writer.numbers():
            self._done[number // SPAN].append(number)
        writer.answer()

    def assert_apart(self) -> None:
        """No two writers have operations of one lane."""
        lanes = [each for writer in self.lanes.at_work() for each in writer]
        assert len(lanes) == len(set(lanes))

    async def end(self) -> None:
        """Answer all that is left; each caller has its own answer, and each lane kept its order."""
        await asyncio.sleep(0)
        while busy := [each for each in self.lanes.writers if each.tasks]:
            self.answer(busy[0])
            await asyncio.sleep(0)
        for lane, futures in enumerate(self._calls):
            expected = [lane * SPAN + number for number in range(len(futures))]
            assert [each.result() for each in futures] == expected
            assert self._done[lane] == expected
            await asyncio.wait_for(self.lanes.lanes[lane].free(), 1)


@given(data=st.data(), count=st.integers(1, 4))
def test_whatever_comes_each_is_answered_and_no_lane_is_at_two_writers(
    data: st.DataObject, count: int
) -> None:
    async def run() -> None:
        story = Story(count)
        await story.lanes.start()
        for _ in range(data.draw(st.integers(1, 12))):
            lane = data.draw(st.integers(0, count - 1))
            writer = story.lanes.writers[lane]
            if data.draw(st.integers(0, 5)) == 0:
                story.lanes.lanes[lane].submit_job(PlaceEvents())
            elif data.draw(st.booleans()):
                story.submit(lane, data.draw(COUNTS))
            elif writer.tasks:
                story.answer(writer)
            if data.draw(st.booleans()):
                await asyncio.sleep(0)
            story.assert_apart()
        await story.end()

    asyncio.run(run())
