"""Gives processes their start with everything loaded: run by `preloaded.py`, as a script.

To load the server takes more than a second of processor time, which a test that starts one pays each time. This process
loads it once and forks for every order, which comes over the socket that is its standard input: a JSON object with
`argv`, `cwd` and `env`, and four descriptors, of standard input, output and error and of a pipe. Into the pipe go the
id of the new process and, at its end, its status.

The new process goes on as `python -m` would: it runs the module as `__main__` and ends with its exit code, after what
Python does at its end. It has one thread, as this process must, and no descriptor but the three.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

import typer.main

LOADED = (
    "alembic.command",
    "alembic.config",
    "tollkeeper.app",
    "tollkeeper.cli.main",
    "tollkeeper.monitoring.endpoint",
    "tollkeeper.supervisor.supervisor",
)
ORDER_BYTES_MAX = 200_000
NUMBER = struct.Struct("i")
STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def serve(orders: socket.socket) -> dict[str, Any]:
    """Fork for each order. Returns in a new process, with its order; never in this one."""
    children: dict[int, tuple[int, int]] = {}  # by descriptor of the process: its id, its pipe
    while True:
        for ready in select.select([orders.fileno(), *children], [], [])[0]:
            if ready in children:
                pid, pipe = children.pop(ready)
                os.close(ready)
                tell(pipe, os.waitpid(pid, 0)[1])
                os.close(pipe)
                continue
            said, given, *_ = socket.recv_fds(orders, ORDER_BYTES_MAX, 4)
            if not said:  # the test process has ended, and none of them outlives it
                for pid, _ in children.values():
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                take_streams(orders, given)
                return json.loads(said)
            *streams, pipe = given
            for each in streams:
                os.close(each)
            children[os.pidfd_open(pid)] = pid, pipe
            tell(pipe, pid)


def tell(pipe: int, number: int) -> None:
    try:
        os.write(pipe, NUMBER.pack(number))
    except BrokenPipeError:  # no process waits for this one any more
        return


def take_streams(orders: socket.socket, given: list[int]) -> None:
    """Make the first three descriptors the standard ones, and close all others."""
    orders.detach()
    for number, mine in enumerate(given[:3]):
        os.dup2(mine, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for number, name, mode in STREAMS:
        old = getattr(sys, name)
        new = open(  # noqa: SIM115 - as long as the process lives
            number,
            mode,
            encoding=old.encoding,
            errors=old.errors,
            buffering=1 if name == "stderr" or os.isatty(number) else -1,
            closefd=False,
        )
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def become(order: dict[str, Any]) -> None:
    """Run what was ordered, as `python -m` would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    sys.path[0] = order["cwd"]
    module, *sys.argv[1:] = order["argv"]
    sys.modules.pop(module, None)  # another that is loaded may have loaded it
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def load() -> None:
    """Load what a server needs, build its commands, and leave all of it out of garbage collection."""
    for module in LOADED:
        importlib.import_module(module)
    command_of = functools.cache(typer.main.get_command)
    command_of(importlib.import_module("tollkeeper.cli.main").commands)
    typer.main.get_command = command_of
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    load()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the tests' terminal is for pytest
    become(serve(socket.socket(fileno=os.dup(0))))
