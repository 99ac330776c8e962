"""One serving process of several: `python -m tollkeeper.supervisor.worker_process NAME`, started by `child`.

Standard input is its end of a socket pair with the supervisor. It reads its spec, serves, and says how that goes. When
the other end is closed the supervisor is gone, however that came: then it stops as for a signal, and ends for sure, so
that no process outlives its supervisor by more than the time that calls in flight are given.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys

import uvloop

from tollkeeper import app, process
from tollkeeper.certificates import TlsFilesError
from tollkeeper.core.errors import Refused
from tollkeeper.engine.ports import StoreError
from tollkeeper.rpc.listeners import ListenError
from tollkeeper.supervisor.leave_lock import LeaveLock
from tollkeeper.supervisor.messages import (
    Count,
    Counted,
    Leaving,
    Link,
    NotServing,
    Serving,
    StopAll,
    WorkerSpec,
    end_within_s,
)
from tollkeeper.supervisor.port import PortError
from tollkeeper.worker import Worker

log = logging.getLogger(__name__)


def main() -> None:
    """Serve until told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_main()))


async def _main() -> int:
    told: asyncio.Queue[object] = asyncio.Queue()
    link = Link(told.put_nowait)
    await asyncio.get_running_loop().create_connection(lambda: link, sock=_supervisor())
    first = asyncio.create_task(told.get())
    lost = asyncio.create_task(link.lost.wait())
    await asyncio.wait((first, lost), return_when=asyncio.FIRST_COMPLETED)
    if not first.done():
        return 1
    lost.cancel()
    spec = first.result()
    assert isinstance(spec, WorkerSpec)  # noqa: S101 - it is what the supervisor says first
    try:
        return await _serve(spec, link, told)
    finally:
        link.close()
        await link.lost.wait()


def _supervisor() -> socket.socket:
    """Take the socket from where it would be closed, or written to, by accident."""
    ours = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    return ours


async def _serve(spec: WorkerSpec, link: Link, told: asyncio.Queue[object]) -> int:
    worker = Worker(
        spec.number,
        spec.of,
        on_leaving=lambda: link.send(Leaving()),
        leave_turn=LeaveLock(spec.leave_lock),
    )
    process.set_up_log(spec.settings.log_level, worker.name)
    worker.listen_to_signals()

    def on_message(message: object) -> None:
        match message:
            case Count():
                link.send(Counted(message.number, worker.count()))
            case StopAll():
                _stop(worker)
            case _:
                log.error("the supervisor said %r", message)

    link.on_message = on_message
    while not told.empty():
        on_message(told.get_nowait())
    guard = asyncio.create_task(_stop_when_lost(link, worker, end_within_s(spec.settings)))
    try:
        openings = () if spec.publication is None else (app.publish_first(spec.publication),)
        await app.serve(spec.settings, worker, lambda _: link.send(Serving()), openings=openings)
    except ListenError as error:
        link.send(NotServing(PortError(str(error))))
        return 1
    except (StoreError, Refused, TlsFilesError, ValueError) as error:
        link.send(NotServing(error))
        return 1
    finally:
        guard.cancel()
        link.send(Counted(None, worker.count()))
    return 0


async def _stop_when_lost(link: Link, worker: Worker, end_within_s: float) -> None:
    await link.lost.wait()
    log.error("the supervisor is gone; stopping")
    asyncio.get_running_loop().call_later(end_within_s, os._exit, 1)
    _stop(worker)


def _stop(worker: Worker) -> None:
    if not worker.answers:
        os._exit(0)  # no caller was promised anything, and the wait may be long
    worker.stop()


if __name__ == "__main__":
    main()
