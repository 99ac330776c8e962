"""A batch leaves callers for the next one, so that client and ledger work at the same time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tollkeeper_client.batching import (
    BATCHES_MAX,
    OPERATIONS_MAX,
    SHARE_MIN,
    Collector,
    Ticket,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Line:
    """Takes the calls of a collector; each operation is one byte."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.ends: list[Callable[[], None]] = []

    def start(self, raw: bytes, *, timeout: float) -> Any:
        assert timeout > 0
        self.sizes.append(len(raw))
        return Call(self.ends)


class Call:
    """A call that fails when it is ended."""

    def __init__(self, ends: list[Callable[[], None]]) -> None:
        self._ends = ends

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._ends.append(lambda: callback(self))

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "ended by the test"

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Asleep:
    """A caller that never wakes."""

    place = "here"

    def soon(self, act: Callable[[], None]) -> None:
        """Leave it to the test to send."""

    @staticmethod
    def wake(waiters: list[Any]) -> None:
        """Do nothing."""


def submit(collector: Collector, number: int) -> None:
    for _ in range(number):
        collector.submit(Ticket(b"x", time.monotonic() + 60, Asleep()))


@pytest.mark.parametrize(
    ("waiting", "sizes"),
    [
        (1, [1]),
        (SHARE_MIN, [SHARE_MIN]),
        (256, [128, 128]),
        (257, [128, 128, 1]),
        (1_000, [500, 500]),
        (10_000, [OPERATIONS_MAX] * BATCHES_MAX),
    ],
)
def test_a_batch_takes_no_more_than_half_of_what_waits_and_is_under_way(
    waiting: int, sizes: list[int]
) -> None:
    line = Line()
    collector = Collector(line.start)

    submit(collector, waiting)
    collector.send()

    assert line.sizes == sizes


def test_callers_who_come_again_keep_the_batches_apart() -> None:
    line = Line()
    collector = Collector(line.start)
    submit(collector, 256)
    collector.send()

    for _ in range(6):
        line.ends.pop(0)()
        submit(collector, line.sizes[-1])
        collector.send()

    assert set(line.sizes) == {128}
