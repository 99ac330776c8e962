"""Starts `python -m MODULE …` as a process that has everything loaded already, in a tenth of the time.

What is started is a process as any other: it has its own memory, streams, signals and exit code. It is not the child of
this process but of a `nursery.py`, which each test process has one of, so its end is learnt from that. A test of how
a process begins starts one with `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPT = Path(__file__).with_name("nursery.py")
NUMBER = struct.Struct("i")


class Preloaded(subprocess.Popen[str]):
    """See `subprocess.Popen`; its private parts that start a process and ask for its end are replaced."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        first_env: Mapping[str, str],
    ) -> None:
        self._first_env = tuple(sorted(first_env.items()))
        pipe = subprocess.PIPE
        super().__init__(argv, cwd=cwd, env=env, stdout=pipe, stderr=pipe, text=True)

    def _execute_child(self, args: Sequence[str], *rest: Any) -> None:
        cwd, env = rest[4], rest[5]
        pipes = rest[9:15]
        _, _, _, ours_out, _, ours_err = pipes
        self._told, tells = os.pipe()
        order = json.dumps({"argv": list(args), "cwd": str(cwd), "env": dict(env)})
        socket.send_fds(nursery(self._first_env), [order.encode()], [0, ours_out, ours_err, tells])
        os.close(tells)
        self.pid = self._number()
        self._child_created = True
        self._close_pipe_fds(*pipes)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- private

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags & os.WNOHANG and not select.select([self._told], [], [], 0)[0]:
            return 0, 0
        status = self._number()
        os.close(self._told)
        return self.pid, status

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- private
        return self.returncode

    def _number(self) -> int:
        said = os.read(self._told, NUMBER.size)
        if len(said) < NUMBER.size:
            raise ChildProcessError("the nursery of processes is gone")
        return NUMBER.unpack(said)[0]


@functools.cache
def nursery(env: tuple[tuple[str, str], ...]) -> socket.socket:
    """Start the nursery of this test process, and end it with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT)], stdin=theirs.fileno(), env=dict(env)
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
