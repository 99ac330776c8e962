"""The coordinator of a run: starts the generators together, gives them orders, and collects their reports.

One thread reads from each generator. All reports come through one queue, and so does the wish to stop.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Self, TypeVar

from tollkeeper.cli.failure import CommandError, ExitCode, Why
from tollkeeper_loadtest.checking.tally import Tally
from tollkeeper_loadtest.measuring.figures import Figures, Second
from tollkeeper_loadtest.measuring.measured import Measured
from tollkeeper_loadtest.sending.messages import (
    Begin,
    Broken,
    Done,
    Finish,
    Lost,
    Phase,
    Ready,
    Stop,
    receive_message,
    send_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tollkeeper.cli.client_tls import ClientTls
    from tollkeeper_loadtest.settings import LoadSettings

GENERATOR_MODULE = "tollkeeper_loadtest.sending.generator_process"
START_IN_S = 0.2
"""A phase begins a moment after it is ordered, in all generators at once."""
TICK_S = 0.25
READY_WITHIN_S = 60.0
END_WITHIN_S = 10.0

MessageT = TypeVar("MessageT")


class Coordinator:
    """Used as a context; the processes end with it."""

    def __init__(self, address: str, settings: LoadSettings, tls: ClientTls | None = None) -> None:
        self._settings = settings
        self._received: SimpleQueue[tuple[int, object]] = SimpleQueue()
        self._generators = [
            _GeneratorHandle(worker, Begin(worker, address, settings, tls), self._received)
            for worker in range(settings.processes)
        ]
        self.interrupted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for generator in self._generators:
            generator.end()

    def ready(self) -> None:
        """Wait until all are connected. Raises CommandError where one cannot."""
        self._all(Ready, within_s=READY_WITHIN_S)

    @contextmanager
    def stopping_on_interrupt(self) -> Generator[None]:
        """Let Ctrl-C or SIGTERM in this block end the phase, and the run in order; a second one ends all at once."""

        def stop(number: int, _: object) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            del number
            self.interrupted = True
            self._received.put((-1, Stop()))

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def carry_out(
        self,
        seconds: float,
        *,
        rate: float | None,
        count: int | None = None,
        tell: Callable[[Measured, float], None],
    ) -> Measured:
        """Send load for one phase; `tell` hears several times a second how far it is, and after how long."""
        start_s = time.monotonic() + START_IN_S
        size = self._settings.processes
        for worker, generator in enumerate(self._generators):
            generator.tell(
                Phase(
                    start_s,
                    seconds,
                    None if rate is None else rate / size,
                    worker / size,
                    _share(self._settings.callers, size, worker),
                    None if count is None else _share(count, size, worker),
                )
            )
        if self.interrupted:
            self._stop()
        measured = Measured(size)
        while measured.ended < size:
            with suppress(Empty):
                worker, message = self._received.get(timeout=TICK_S)
                match message:
                    case Second():
                        measured.second(message)
                    case Figures():
                        measured.end(worker, message)
                    case Stop():
                        self._stop()
                    case _:
                        raise _unusable(worker, message)
            tell(measured, time.monotonic() - start_s)
        return measured

    def finish(self, within_s: float) -> Tally:
        """Let all find out what is open, and return what they were told in all."""
        for generator in self._generators:
            generator.tell(Finish(within_s))
        tally = Tally()
        for done in self._all(Done, within_s=2 * within_s + READY_WITHIN_S):
            tally.add(done.tally)
        return tally

    def _stop(self) -> None:
        for generator in self._generators:
            generator.tell(Stop())

    def _all(self, kind: type[MessageT], *, within_s: float) -> list[MessageT]:
        """Return what each says, if that is what is expected."""
        give_up_s = time.monotonic() + within_s
        heard: dict[int, MessageT] = {}
        while len(heard) < self._settings.processes:
            try:
                worker, message = self._received.get(timeout=max(0.0, give_up_s - time.monotonic()))
            except Empty:
                raise CommandError(
                    "a generator does not answer; nothing can be checked", reason=Why.CANNOT_LOAD
                ) from None
            if isinstance(message, kind):
                heard[worker] = message
            elif not (isinstance(message, Stop) or (worker in heard and isinstance(message, Lost))):
                raise _unusable(worker, message)
        return list(heard.values())


def _share(count: int, size: int, worker: int) -> int:
    """Divide a number over the generators, the first of which take what is left over."""
    return count // size + (worker < count % size)


def _unusable(worker: int, message: object) -> CommandError:
    if isinstance(message, Broken):
        return CommandError(message.message, ExitCode(message.code), reason=message.reason)
    return CommandError(
        f"generator {worker} ended in the middle; what it was told is lost, so nothing can be checked",
        reason=Why.CANNOT_LOAD,
    )


class _GeneratorHandle:
    """One generator's process, and the thread that listens to it."""

    def __init__(self, worker: int, begin: Begin, heard: SimpleQueue[tuple[int, object]]) -> None:
        self._worker = worker
        self._received = heard
        self._ours, theirs = socket.socketpair()
        with theirs:
            # Not in our session: a terminal's Ctrl-C is for the command, which ends its generators in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", GENERATOR_MODULE],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.tell(begin)

    def tell(self, message: object) -> None:
        with suppress(OSError):  # it is gone, which is heard of
            send_message(self._ours, message)

    def end(self) -> None:
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(timeout=END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listening.join()
        self._ours.close()

    def _listen(self) -> None:
        while True:
            try:
                message = receive_message(self._ours)
            except (EOFError, OSError):
                self._received.put((self._worker, Lost()))
                return
            self._received.put((self._worker, message))
