"""When a lane gives its writer something to do, and that the answers find their callers."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from tests.support.ledgers import leads
from tollkeeper.core.commands import DoWhatIsDue
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.lanes.attempt import Later
from tollkeeper.engine.lanes.fold import Reply
from tollkeeper.engine.lanes.lane import TURN_MIN, Lane
from tollkeeper.engine.lanes.locked_out import AGAIN_AFTER_S
from tollkeeper.engine.lanes.writer import Execute, PlaceEvents, Task
from tollkeeper.engine.settings import EngineSettings


class Writer:
    """A host that keeps what it is given until the test answers."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    async def start(self, lane: Lane) -> None:
        lane.up()

    def send(self, task: Task) -> None:
        self.tasks.append(task)

    async def stop(self) -> None: ...

    def kill(self) -> None: ...

    @property
    def sizes(self) -> list[int]:
        return [len(each.commands) for each in self.tasks if isinstance(each, Execute)]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
async def lane(writer: Writer) -> Lane:
    lane = Lane(writer, EngineSettings())
    await lane.start()
    return lane


def submitted(lane: Lane, count: int, first: int = 0) -> list[asyncio.Future[Reply]]:
    return [lane.submit(DoWhatIsDue(first + number)) for number in range(count)]


def keys_of(task: Task) -> list[int]:
    commands = cast("Sequence[DoWhatIsDue]", cast("Execute", task).commands)
    return [each.account_key for each in commands]


def echoed(task: Task) -> list[int]:
    """Answer each operation with its own number."""
    return keys_of(task)


async def test_a_few_wait_for_what_else_arrives_in_the_round(lane: Lane, writer: Writer) -> None:
    submitted(lane, TURN_MIN - 1)

    before = list(writer.sizes)
    await asyncio.sleep(0)

    assert (before, writer.sizes) == ([], [TURN_MIN - 1])


async def test_enough_do_not_wait_for_the_rest_of_the_round(lane: Lane, writer: Writer) -> None:
    submitted(lane, TURN_MIN + 10)

    assert writer.sizes == [TURN_MIN]


async def test_a_writer_at_work_is_given_its_next_when_enough_wait(
    lane: Lane, writer: Writer
) -> None:
    submitted(lane, TURN_MIN)
    submitted(lane, TURN_MIN - 1, first=1_000)
    before = list(writer.sizes)

    submitted(lane, 1, first=2_000)

    assert (before, writer.sizes) == ([TURN_MIN], [TURN_MIN, TURN_MIN])


async def test_a_writer_never_has_more_than_one_to_go_on_with(lane: Lane, writer: Writer) -> None:
    submitted(lane, 4 * TURN_MIN)
    await asyncio.sleep(0)

    assert writer.sizes == [TURN_MIN, TURN_MIN]


async def test_a_turn_takes_at_most_half_of_what_waits_or_is_at_the_writer(
    lane: Lane, writer: Writer
) -> None:
    submitted(lane, 4 * TURN_MIN)

    lane.answered(echoed(writer.tasks[0]))

    assert writer.sizes[2:] == [3 * TURN_MIN // 2]


async def test_few_are_not_sent_to_a_writer_at_work(lane: Lane, writer: Writer) -> None:
    submitted(lane, TURN_MIN)
    late = submitted(lane, 3, first=1_000)
    await asyncio.sleep(0)
    before = list(writer.sizes)

    lane.answered(echoed(writer.tasks[0]))
    lane.answered(echoed(writer.tasks[1]))

    assert (before, writer.sizes) == ([TURN_MIN], [TURN_MIN, 3])
    assert [each.result() for each in late] == [1_000, 1_001, 1_002]


async def test_every_answer_finds_its_caller(lane: Lane, writer: Writer) -> None:
    calls = submitted(lane, 5 * TURN_MIN + 7)

    done = 0
    while done < len(writer.tasks):
        lane.answered(echoed(writer.tasks[done]))
        done += 1
        await asyncio.sleep(0)

    assert [each.result() for each in calls] == list(range(len(calls)))


async def test_a_job_keeps_its_place_between_operations(lane: Lane, writer: Writer) -> None:
    submitted(lane, TURN_MIN)
    job = lane.submit_job(PlaceEvents())
    submitted(lane, TURN_MIN, first=1_000)

    lane.answered(echoed(writer.tasks[0]))
    lane.answered(None)

    assert [type(each) for each in writer.tasks] == [Execute, PlaceEvents, Execute]
    assert job.done()


async def test_all_that_a_lost_writer_had_is_refused_and_the_rest_waits(
    lane: Lane, writer: Writer
) -> None:
    had = submitted(lane, 2 * TURN_MIN)
    waiting = submitted(lane, 2, first=1_000)

    lane.down()
    lane.up()
    lane.answered(echoed(writer.tasks[-1]))

    refused = [cast("Refused", each.exception()) for each in had]
    assert {each.reason for each in refused} == {Reason.STORE_UNAVAILABLE}
    assert [each.result() for each in waiting] == [1_000, 1_001]


@pytest.mark.parametrize("in_bulks", [False, True])
async def test_more_is_refused_where_a_transaction_full_has_waited_for_too_long(
    writer: Writer, in_bulks: bool
) -> None:
    lane = Lane(writer, EngineSettings(batch_max=20, bulk_alone=20, queue_for_s=0.05))
    await lane.start()
    submitted(lane, 1)
    await asyncio.sleep(0)
    if in_bulks:
        lane.submit_all([DoWhatIsDue(number) for number in range(20)])
    else:
        submitted(lane, 20)
    submitted(lane, 1)
    await asyncio.sleep(0.06)

    with pytest.raises(Refused) as single:
        lane.submit(DoWhatIsDue(0))
    with pytest.raises(Refused) as bulk:
        lane.submit_all([DoWhatIsDue(0)])
    job = lane.submit_job(PlaceEvents())
    lane.answered(echoed(writer.tasks[0]))
    lane.answered(echoed(writer.tasks[1]))

    assert {each.value.reason for each in (single, bulk)} == {Reason.OVERLOADED}
    assert (single.value.retry_after_us or 0) >= 50_000
    assert "the first for 0.1 s" in single.value.message
    submitted(lane, 1)
    assert not job.cancelled()


async def test_an_operation_that_was_locked_out_has_not_waited_for_the_writer(
    writer: Writer,
) -> None:
    lane = Lane(writer, EngineSettings(batch_max=20, queue_for_s=AGAIN_AFTER_S / 2))
    await lane.start()
    submitted(lane, 1)
    await asyncio.sleep(0)
    lane.answered([Later.LOCKED])
    submitted(lane, 1)
    await asyncio.sleep(AGAIN_AFTER_S + 0.02)  # it is the first again, and the writer is at work
    submitted(lane, 20)

    submitted(lane, 1)

    assert lane.counts.waiting == 22


async def test_few_may_wait_for_as_long_as_it_takes(writer: Writer) -> None:
    lane = Lane(writer, EngineSettings(batch_max=20, queue_for_s=0.01))
    await lane.start()
    submitted(lane, 1)
    await asyncio.sleep(0)
    submitted(lane, 10)
    await asyncio.sleep(0.03)

    submitted(lane, 1)

    assert lane.counts.waiting == 11


async def test_a_stop_waits_for_all_that_the_writer_has(lane: Lane, writer: Writer) -> None:
    calls = submitted(lane, 2 * TURN_MIN)
    stopping = asyncio.create_task(lane.stop())
    await asyncio.sleep(0)

    lane.answered(echoed(writer.tasks[0]))
    await asyncio.sleep(0)
    early = stopping.done()
    lane.answered(echoed(writer.tasks[1]))
    await stopping

    assert not early
    assert all(each.done() for each in calls)


@pytest.mark.parametrize(("singles", "ahead"), [(0, True), (1, False)])
async def test_batches_are_sent_ahead_only_where_they_are_alone(
    lane: Lane, writer: Writer, singles: int, ahead: bool
) -> None:
    submitted(lane, singles)
    await asyncio.sleep(0)
    had = len(writer.tasks)

    for _ in range(2):
        lane.submit_all([DoWhatIsDue(number) for number in range(1_000)])
    await asyncio.sleep(0)

    assert had == singles
    assert writer.sizes[had:] == ([1_000, 1_000] if ahead else [])


async def test_what_was_locked_out_and_refused_does_not_wake_a_lane_without_a_writer(
    lane: Lane, writer: Writer
) -> None:
    """Else a stop that was broken off would wait for a lane that is never idle again."""
    answer = lane.submit(leads("r"))
    await asyncio.sleep(0)
    lane.answered([Later.LOCKED])
    lane.down()
    lane.abandon()

    with pytest.raises(Refused):
        await answer
    await asyncio.sleep(2 * AGAIN_AFTER_S)
    async with asyncio.timeout(1):
        await lane.free()
    assert len(writer.tasks) == 1
