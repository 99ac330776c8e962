"""The process of one worker: `python -m tollkeeper.engine.worker_process NAME`, started by `process_host`.

Standard input is its end of the socket pair. It reads a plan, says whether it is ready, and then carries out one
task after another until the other end is closed, which is the only way it is told to stop: signals to the server's
group are the server's to answer.
"""

from __future__ import annotations

import pickle
import signal
import socket
import sys
import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, cast

from tollkeeper.core.errors import Refused
from tollkeeper.engine.ports import StoreError
from tollkeeper.engine.process_host import LENGTH, PICKLE_PROTOCOL, WorkerError, WorkerPlan
from tollkeeper.engine.worker import Worker

if TYPE_CHECKING:
    from tollkeeper.engine.worker import Task


def main() -> None:
    """Serve until the server closes its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=sys.stdin.fileno()) as ours, ExitStack() as stack:
        requests = stack.enter_context(ours.makefile("rb"))
        try:
            plan = cast("WorkerPlan", _read(requests))
        except EOFError:
            return
        plan.begin()
        try:
            store = plan.open_store()
            stack.callback(store.close)
            worker = Worker(store.lane(), plan.shards, plan.settings)
            stack.callback(worker.close)
        except Exception as error:  # noqa: BLE001 - the server is told
            _say(ours, error)
            return
        plan.ready()
        try:
            _say(ours, None)
            while True:
                _say(ours, worker.carry_out(cast("Task", _read(requests))))
                worker.follow_up()
        except (
            EOFError,
            ConnectionError,
            pickle.UnpicklingError,
        ):  # the server has closed its end, or is gone
            return


def _read(requests: BinaryIO) -> object:
    return pickle.load(requests)  # noqa: S301 - our own server wrote it


def _say(ours: socket.socket, answer: object) -> None:
    try:
        written = pickle.dumps(_portable(answer), PICKLE_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - the server is told
        written = pickle.dumps(_portable(error), PICKLE_PROTOCOL)
    ours.sendall(LENGTH.pack(len(written)) + written)


def _portable(answer: object) -> object:
    """Return an answer with each exception that is not for a caller as one that can travel, traceback and all."""
    if isinstance(answer, list):
        return [_portable(each) for each in cast("list[object]", answer)]
    if isinstance(answer, BaseException) and not isinstance(answer, (Refused, StoreError)):
        return WorkerError("".join(traceback.format_exception(answer)))
    return answer


if __name__ == "__main__":
    main()
