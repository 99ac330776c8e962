"""The calls of our services: how many are in flight, how others ended, and how all of them end when the server stops.

gRPC cancels what it has received and not handed to us yet when it is told to stop, and also what comes until the
client knows; such a caller is told CANCELLED. So before that nothing leaves us for a moment: late calls wait, and so do
the answers to earlier ones. Who waits for an answer calls nothing else, and soon nothing is on its way to us. When gRPC
has told every client that its connection is over (GOAWAY), all of them are let go, and their next call goes elsewhere.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.counts import EndedCall
from tollkeeper.engine.histograms import CALL_S, Histogram
from tollkeeper.engine.unavailable import shutting_down

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    import grpc.aio

    from tollkeeper.rpc.client_versions import ClientVersions

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Ended: TypeAlias = dict[str, Histogram]
    """How long the calls of a method took until they ended, in seconds, by the name of their status code."""

WATCHERS_MAX = 200
"""How many may watch one server, where it is not told."""

_TICK_S = 0.01
_QUIET_TICKS = 10
"""So many moments in a row without a new call: a process that had no processor for a while counts it as one."""


def cut_off() -> Refused:
    """Return the refusal of a call that the stop did not wait for any longer. It may have been carried out."""
    return Refused(
        Reason.SHUTTING_DOWN,
        "the server is shutting down and waits no longer; whether this call was carried out, "
        "a repeat with the same key tells",
    )


class CallTracker:
    """Counts calls, and holds them when it is closed.

    Watchers would never end by themselves: they are counted apart, up to a bound, and told when it is time.
    """

    __slots__ = (
        "_ended",
        "_late",
        "_let_go",
        "_refusing",
        "_running",
        "_watchers_max",
        "_when_over",
        "clients",
        "closing",
        "cut",
        "watchers",
    )

    def __init__(
        self, watchers_max: int = WATCHERS_MAX, clients: ClientVersions | None = None
    ) -> None:
        self.clients = clients
        """What counts the clients; None where they are not counted."""
        self.closing = False
        """Whether calls that come now are late, and answers are to `wait`."""
        self.cut = False
        """Whether what is cancelled now was in flight for longer than the stop allows."""
        self.watchers = 0
        self._running: set[asyncio.Task[Any]] = set()
        self._refusing = 0
        self._late = 0
        self._let_go = asyncio.Event()
        self._ended: dict[tuple[str, str, str], Ended] = {}
        self._watchers_max = watchers_max
        self._when_over: set[Callable[[], object]] = set()

    @property
    def in_flight(self) -> int:
        """Return how many calls have come and are not answered, watchers apart."""
        return len(self._running) + self._refusing

    def begin(self) -> asyncio.Task[Any]:
        """Count the running task as a call that has come. Where `closing`, it is to `refuse` then."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._running.add(task)
        return task

    def note_client(self, context: Context) -> None:
        """Count a call by its client, where clients are counted."""
        if self.clients is not None:
            self.clients.note(context.invocation_metadata())

    def end(self, task: asyncio.Task[Any]) -> None:
        """Count it no longer."""
        self._running.discard(task)

    @contextmanager
    def refusing(self) -> Generator[None]:
        """Count a call for as long as it is being told that it was refused."""
        self._refusing += 1
        try:
            yield
        finally:
            self._refusing -= 1

    @property
    def over(self) -> bool:
        """Say whether every client knows that this server stops."""
        return self._let_go.is_set()

    def close(self) -> None:
        """Let nothing leave from now on: neither answers nor refusals, until `let_go`."""
        self.closing = True

    async def quiet(self, within_s: float) -> None:
        """Wait until no call has come for a moment. Callers who do not wait for answers are waited for only so long."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        ticks = 0
        while ticks < _QUIET_TICKS and loop.time() < until_s:
            late = self._late
            await asyncio.sleep(_TICK_S)
            ticks = ticks + 1 if self._late == late else 0

    def let_go(self) -> None:
        """Send the answers that wait, refuse the late calls, and end those that would go on for ever."""
        self.closing = True
        self._let_go.set()
        for stop in tuple(self._when_over):
            stop()

    async def finished(self, within_s: float) -> None:
        """Wait until nothing is in flight, for at most so long."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        while self._running or self._refusing:
            left_s = until_s - loop.time()
            if left_s <= 0:
                return
            await asyncio.sleep(min(_TICK_S, left_s))

    def cut_off(self) -> None:
        """End what is in flight: each caller is told that the outcome of the call is unknown."""
        self.cut = True
        for task in tuple(self._running):
            task.cancel()

    async def late(self) -> None:
        """Keep a call that came when it was `closing` until its caller knows that it has to go elsewhere."""
        self._late += 1
        await self._let_go.wait()

    async def refuse(self) -> NoReturn:
        """Refuse a late call, when it is time."""
        await self.late()
        raise shutting_down()

    async def wait(self) -> None:
        """Keep an answer back for as long as nothing may leave."""
        if self.closing:
            await self._let_go.wait()

    @contextmanager
    def when_over(self, stop: Callable[[], object]) -> Generator[None]:
        """EndedCall `stop` if the server's end comes within this block, which must soon end then."""
        self._when_over.add(stop)
        try:
            yield
        finally:
            self._when_over.discard(stop)

    async def watch(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a watcher until it ends. Raises Refused where there are too many, or it is time to stop."""
        if self.closing:
            work.close()
            await self.refuse()
        if self.watchers >= self._watchers_max:
            work.close()
            raise Refused(Reason.OVERLOADED, f"{self._watchers_max} are watching already")
        self.watchers += 1
        task = asyncio.ensure_future(work)
        try:
            with self.when_over(task.cancel):
                await asyncio.wait((task,))
            if task.cancelled():
                raise shutting_down()
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.watchers -= 1

    def ended(self, kind: str, service: str, method: str) -> Ended:
        """Return where the calls of a method are counted when they end."""
        return self._ended.setdefault((kind, service, method), {"OK": Histogram(CALL_S)})

    def counted(self) -> dict[EndedCall, Histogram]:
        """Return how long calls took until they ended, by method and status code."""
        return {
            EndedCall(*named, code): took
            for named, ended in self._ended.items()
            for code, took in ended.items()
        }
