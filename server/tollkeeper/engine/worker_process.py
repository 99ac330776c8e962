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
from contextlib import ExitStack
from typing import cast

from tollkeeper.engine import wire
from tollkeeper.engine.link import framed
from tollkeeper.engine.process_host import WorkerPlan
from tollkeeper.engine.worker import Worker


def main() -> None:
    """Serve until the server closes its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=sys.stdin.fileno()) as ours, ExitStack() as stack:
        requests = stack.enter_context(ours.makefile("rb"))
        try:
            plan = cast("WorkerPlan", pickle.load(requests))  # noqa: S301 - our own server wrote it
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
                _say(ours, worker.carry_out(wire.read_task(requests)))
                worker.follow_up()
        except (
            EOFError,
            ConnectionError,
            pickle.UnpicklingError,
        ):  # the server has closed its end, or is gone
            return


def _say(ours: socket.socket, answer: object) -> None:
    ours.sendall(framed(wire.write_answer(answer)))


if __name__ == "__main__":
    main()
