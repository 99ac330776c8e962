"""What goes between the event loop and a lane's writer: pickles, in which what comes by the thousand is plain tuples.

A NamedTuple is pickled by a call of Python for each, and an answer has three of them. Measured, in µs an operation,
written and read: the answer to an Authorize 2.6 and 1.0, as plain tuples 0.7 and 0.7; a Commit 2.4 and 0.8, as plain
ones 0.3 and 0.4. Whatever else there is to say travels as it is.
"""

from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING, Any, cast

from tollkeeper.core.change import Authorized, Settled
from tollkeeper.core.commands import Authorize, Commit
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Refused
from tollkeeper.core.fast_tuples import made
from tollkeeper.core.reservation import ReservationName
from tollkeeper.engine.lanes.writer import Execute
from tollkeeper.engine.ports import StoreError

if TYPE_CHECKING:
    from tollkeeper.engine.lanes.attempt import Result
    from tollkeeper.engine.lanes.fold import Command
    from tollkeeper.engine.lanes.writer import Task

PROTOCOL = 5

_AUTHORIZE, _COMMIT = 1, 2


class WriterError(Exception):
    """A fault of the program in a writer's process; the message is its traceback."""


def write_task(task: Task) -> bytes:
    """Return a task as it goes to the writer."""
    if isinstance(task, Execute):
        return pickle.dumps(list(map(_flat_command, task.commands)), PROTOCOL)
    return pickle.dumps(task, PROTOCOL)


def read_task(written: bytes | bytearray) -> Task:
    """Read what `write_task` has written."""
    message: object = pickle.loads(written)  # noqa: S301 - our own server wrote it
    if type(message) is list:
        return Execute(list(map(_command, cast("list[Any]", message))))
    return cast("Task", message)


def write_answer(answer: object) -> bytes:
    """Return what a task is answered with as it goes back."""
    try:
        return pickle.dumps(_flat_answer(answer), PROTOCOL)
    except Exception as error:  # noqa: BLE001 - the server is told
        return pickle.dumps(_portable(error), PROTOCOL)


def read_answer(written: bytes | memoryview) -> object:
    """Read what `write_answer` has written."""
    answer: object = pickle.loads(written)  # noqa: S301 - our own process wrote it
    if type(answer) is list:
        return list(map(_result, cast("list[Any]", answer)))
    return answer


# Hot, hence `Any`: a `cast` is a call, and there would be ten of them for a pair.


def _flat_command(command: Any) -> object:  # noqa: ANN401
    kind = command.__class__
    if kind is Authorize:
        return (_AUTHORIZE, *command)
    if kind is Commit:
        name, http_status, outcome, caller = command
        return (_COMMIT, tuple(name), http_status, outcome, caller)
    return command


def _command(flat: Any) -> Command:  # noqa: ANN401
    if flat.__class__ is not tuple:
        return flat
    if flat[0] == _AUTHORIZE:
        return made(Authorize, flat[1:])
    _, name, *others = flat
    return made(Commit, (made(ReservationName, name), *others))


def _flat_answer(answer: object) -> object:
    if type(answer) is list:
        return list(map(_flat_result, cast("list[Any]", answer)))
    return _portable(answer)


def _flat_result(result: Any) -> object:  # noqa: ANN401
    kind = result.__class__
    if kind is Authorized:
        name, credits, version, state, created_us, expires_us, balance, replayed = result
        flat = None if name is None else tuple(name)
        held = (credits, version, state, created_us, expires_us)
        return (_AUTHORIZE, flat, held, tuple(balance), replayed)
    if kind is Settled:
        state, outcome, credits, balance, late, replayed = result
        return (_COMMIT, state, outcome, credits, tuple(balance), late, replayed)
    return _portable(result)


def _result(flat: Any) -> Result:  # noqa: ANN401
    if flat.__class__ is not tuple:
        return flat
    if flat[0] == _AUTHORIZE:
        _, name, held, balance, replayed = flat
        reservation = None if name is None else made(ReservationName, name)
        return made(Authorized, (reservation, *held, made(Balance, balance), replayed))
    _, state, outcome, credits, balance, late, replayed = flat
    return made(Settled, (state, outcome, credits, made(Balance, balance), late, replayed))


def _portable(answer: object) -> object:
    """Return an exception that is not for a caller as one that can travel, traceback and all."""
    if isinstance(answer, BaseException) and not isinstance(answer, (Refused, StoreError)):
        return WriterError("".join(traceback.format_exception(answer)))
    return answer
