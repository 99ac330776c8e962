"""What a writer's process does while the database commits: it never changes what is answered, nor in which order."""

import asyncio
import pickle
import socket
from collections.abc import Generator
from typing import cast

import pytest

from tollkeeper.core.commands import DoWhatIsDue
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.hosts.writer_process import Desk
from tollkeeper.engine.lanes import wire
from tollkeeper.engine.lanes.attempt import Result
from tollkeeper.engine.lanes.writer import Execute, Sweep, Task
from tollkeeper.ipc import framed, next_message


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, Desk]]:
    server, ours = socket.socketpair()
    with server, ours:
        server.settimeout(5)
        yield server, Desk(ours)


def send(server: socket.socket, *tasks: Task) -> None:
    server.sendall(b"".join(framed(wire.write_task(task)) for task in tasks))


def answer(server: socket.socket) -> object:
    message = next_message(server)
    assert message is not None
    return wire.read_answer(bytes(message))


def results_of(*credits: int) -> list[Result]:
    return [Refused(Reason.OVERLOADED, str(each)) for each in credits]


def execute(number: int) -> Execute:
    return Execute([DoWhatIsDue(number)])


def number_of(task: Task) -> int:
    return cast("DoWhatIsDue", cast("Execute", task).commands[0]).account_key


def test_tasks_come_in_their_order_whether_taken_early_or_not(
    pair: tuple[socket.socket, Desk],
) -> None:
    server, desk = pair
    send(server, execute(1), Sweep(), execute(2))

    first = desk.task()
    early = desk.meanwhile([])
    still = desk.meanwhile([])
    second, third = desk.task(), desk.task()

    assert (number_of(first), number_of(third)) == (1, 2)
    assert type(early) is type(still) is type(second) is Sweep
    assert early is still is second


def test_where_no_task_waits_none_is_waited_for(pair: tuple[socket.socket, Desk]) -> None:
    server, desk = pair

    nothing = desk.meanwhile([])
    send(server, execute(7))

    assert nothing is None
    assert number_of(desk.task()) == 7


def test_an_end_that_is_seen_early_does_not_fail_the_batch(
    pair: tuple[socket.socket, Desk],
) -> None:
    server, desk = pair
    server.sendall(framed(pickle.dumps(Sweep()))[:-1])
    server.shutdown(socket.SHUT_WR)

    assert desk.meanwhile([]) is None
    with pytest.raises(EOFError):
        desk.task()


def test_what_was_prepared_is_what_is_said(pair: tuple[socket.socket, Desk]) -> None:
    server, desk = pair
    results = results_of(1, 2)

    desk.meanwhile(results)
    desk.say(results)

    assert [str(each) for each in cast("list[Refused]", answer(server))] == ["1", "2"]


def test_another_answer_than_the_one_prepared_is_the_one_that_is_said(
    pair: tuple[socket.socket, Desk],
) -> None:
    """A commit that failed, or whose outcome is known only now."""
    server, desk = pair

    desk.meanwhile(results_of(1))
    desk.say(results_of(2))
    desk.say(None)

    assert [str(each) for each in cast("list[Refused]", answer(server))] == ["2"]
    assert answer(server) is None


def test_a_message_may_come_in_pieces(pair: tuple[socket.socket, Desk]) -> None:
    server, desk = pair
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    task = Execute([DoWhatIsDue(number) for number in range(20_000)])

    async def send_slowly() -> Task:
        sending = asyncio.to_thread(send, server, task)
        _, received = await asyncio.gather(sending, asyncio.to_thread(desk.task))
        return received

    received = asyncio.run(send_slowly())

    assert cast("Execute", received).commands == task.commands


def test_the_end_is_the_end_also_in_the_middle_of_a_message(
    pair: tuple[socket.socket, Desk],
) -> None:
    server, desk = pair
    server.sendall(framed(pickle.dumps(Sweep()))[:-1])
    server.shutdown(socket.SHUT_WR)

    with pytest.raises(EOFError):
        desk.task()
