"""Sends the load of one process: closed or open loop, in phases. Requests of unknown outcome are kept for the end.

In a closed loop a caller begins a request when its last one has ended. In an open loop requests are due at a constant
rate, whatever the server does, and latencies count from the moment that a request was due: one that waits because the
server, or this process, had no room for it is as slow as its caller would have seen it.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.checking.answers import AnswerChecker
from tollkeeper_loadtest.measuring.own_time import Lap, OwnTime
from tollkeeper_loadtest.measuring.recorder import AUTHORIZE, SETTLE, Recorder
from tollkeeper_loadtest.operations import Denied, Held, Settled
from tollkeeper_loadtest.sending.transport import Answer, Failed, Transport
from tollkeeper_loadtest.workload import PlannedRequest, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper_loadtest.measuring.figures import Figures, Second
    from tollkeeper_loadtest.sending.messages import Phase
    from tollkeeper_loadtest.settings import LoadSettings

BACK_OFF_S = 0.05
BACK_OFF_MAX_S = 1.0
OPEN_MAX = 200_000
"""Requests of unknown outcome that one process remembers; with more the phase ends."""

_TURN_S = 0.2
"""How often an open loop that waits looks whether it is to stop."""


class Open(NamedTuple):
    """A request of which something is not known yet: whether it was authorized, or (with a hold) settled."""

    planned: PlannedRequest
    held: Held | None
    begun_s: float


class Generator:
    """One generator; `checker` and `open` grow over all of its phases."""

    def __init__(self, worker: int, settings: LoadSettings, transport: Transport) -> None:
        self._settings = settings
        self._workload = Workload(settings)
        self._transport = transport
        self._own = OwnTime()
        self._next = worker
        self._left: int | None = None
        self._stopping = False
        self.checker = AnswerChecker(settings)
        self.open: list[Open] = []

    def stop(self) -> None:
        """End the phase; what was begun is finished."""
        self._stopping = True

    async def carry_out(self, phase: Phase, tell: Callable[[Second], None]) -> Figures:
        """Send load for one phase."""
        self._left = phase.requests_max
        self._own = OwnTime()
        recorder = Recorder(phase.start_s, tell)
        await asyncio.sleep(max(0.0, phase.start_s - time.monotonic()))
        unsent = 0
        if phase.rate is None:
            callers = (self._caller(phase, recorder) for _ in range(phase.callers))
            await asyncio.gather(*callers)
        else:
            unsent = await self._arrivals(phase, phase.rate, recorder)
        figures = recorder.close(unsent=unsent, own_s=self._own.seconds())
        figures.repeats = self._transport.repeats.told()
        return figures

    async def _caller(self, phase: Phase, recorder: Recorder) -> None:
        end_s = phase.start_s + phase.seconds
        back_off_s = BACK_OFF_S
        while (now_s := time.monotonic()) < end_s and not self._ending():
            lap = self._own.lap()
            group = self._take(self._settings.group)
            if not group:
                return
            recorder.begun(len(group), lag_s=None)
            lap.pause()
            if await self._group(group, [now_s] * len(group), recorder, lap):
                back_off_s = BACK_OFF_S
            else:
                await asyncio.sleep(back_off_s)
                back_off_s = min(2 * back_off_s, BACK_OFF_MAX_S)

    async def _arrivals(self, phase: Phase, rate: float, recorder: Recorder) -> int:
        """Begin groups as their requests are due; return how many were due and never begun."""
        running: set[asyncio.Task[bool]] = set()
        size = self._settings.group
        due_by_end = math.ceil(phase.seconds * rate - phase.offset)
        total = due_by_end if phase.requests_max is None else min(due_by_end, phase.requests_max)
        # What is due and late is sent after the end too: left out, the longest waits would be in no figure.
        give_up_s = phase.start_s + phase.seconds + self._settings.timeout_s
        index = 0

        def due_s(number: int) -> float:
            return phase.start_s + (number + phase.offset) / rate

        while index < total and not self._ending():
            last = min(index + size, total) - 1
            now_s = time.monotonic()
            ready_s = min(due_s(last), due_s(index) + self._settings.linger_s)
            if ready_s > now_s:
                await asyncio.sleep(min(ready_s - now_s, _TURN_S))
                continue
            if now_s >= give_up_s:
                break
            if len(running) >= self._settings.in_flight_max:
                await asyncio.wait(running, timeout=_TURN_S, return_when=asyncio.FIRST_COMPLETED)
                continue
            due = [due_s(number) for number in range(index, last + 1) if due_s(number) <= now_s]
            lap = self._own.lap()
            group = self._take(len(due))
            index += len(due)
            recorder.begun(len(group), lag_s=now_s - ready_s)
            lap.pause()
            task = asyncio.create_task(self._group(group, due, recorder, lap))
            running.add(task)
            task.add_done_callback(running.discard)
        unsent = 0 if self._stopping else total - index
        await asyncio.gather(*running)
        return unsent

    def _ending(self) -> bool:
        return self._stopping or len(self.open) > OPEN_MAX

    def _take(self, count: int) -> list[PlannedRequest]:
        """Return this generator's next requests of the plan, no more than the phase has left.

        The generators take turns: with a bound on the requests of a phase, the first so many are sent, however many
        generators send them.
        """
        if self._left is not None:
            count = min(count, self._left)
            self._left -= count
        first, step = self._next, self._settings.processes
        self._next += count * step
        return [self._workload.request(number) for number in range(first, self._next, step)]

    async def _group(
        self,
        group: Sequence[PlannedRequest],
        due_s: Sequence[float],
        recorder: Recorder,
        lap: Lap,
    ) -> bool:
        """Authorize a group and settle what is held; False where the server could not be asked."""
        lap.resume()
        begun_s = time.monotonic()
        calls = [self.checker.authorize_of(planned) for planned in group]
        lap.pause()
        answers = await self._transport.carry_out(calls)
        lap.resume()
        now_s = time.monotonic()
        asked = True
        holding: list[tuple[PlannedRequest, Held, float]] = []
        for planned, answer, due in zip(group, answers, due_s, strict=True):
            lost = self._transport.repeats.lost(planned.request_id)
            if lost:
                self.checker.tally.lost_answers[planned.account] += lost
            if isinstance(answer, Failed):
                asked = False
                self._unanswered(planned, answer, now_s, begun_s, recorder)
                continue
            recorder.answered(AUTHORIZE, now_s, now_s - due)
            held = self._authorized(planned, answer, now_s, recorder, repeated=lost > 0)
            if held is not None:
                holding.append((planned, held, due))
        if holding:
            await self._settle(holding, begun_s, recorder, lap)
        lap.pause()
        return asked

    def _unanswered(
        self,
        planned: PlannedRequest,
        failed: Failed,
        now_s: float,
        begun_s: float,
        recorder: Recorder,
    ) -> None:
        recorder.failed(now_s, failed.reason)
        if failed.perhaps_done:
            self.checker.tally.lost_answers[planned.account] += 1
            self.open.append(Open(planned, None, begun_s))
        elif not failed.overloaded:
            self.checker.refused(planned, f"{failed.reason} {failed.message}")

    def _authorized(
        self,
        planned: PlannedRequest,
        answer: Answer,
        now_s: float,
        recorder: Recorder,
        *,
        repeated: bool,
    ) -> Held | None:
        assert isinstance(answer, Held | Denied)  # noqa: S101 - that is what was asked
        held = self.checker.authorized(planned, answer, repeated=repeated)
        if isinstance(answer, Denied):
            name = pb.DenialReason.Name(pb.DenialReason.ValueType(answer.reason))
            recorder.denied(now_s, name.removeprefix("DENIAL_REASON_"))
        elif held is None:
            recorder.ended(now_s)
        return held

    async def _settle(
        self,
        holding: Sequence[tuple[PlannedRequest, Held, float]],
        begun_s: float,
        recorder: Recorder,
        lap: Lap,
    ) -> None:
        """Settle what is held. The lap runs before and after."""
        asked_s = time.monotonic()
        calls = [self.checker.settle_of(planned, held) for planned, held, _ in holding]
        lap.pause()
        answers = await self._transport.carry_out(calls)
        lap.resume()
        now_s = time.monotonic()
        for (planned, held, due_s), answer in zip(holding, answers, strict=True):
            if isinstance(answer, Failed):
                recorder.failed(now_s, answer.reason)
                if answer.perhaps_done or answer.overloaded:
                    self.open.append(Open(planned, held, begun_s))
                else:
                    self.checker.refused(planned, f"{answer.reason} {answer.message}")
                continue
            assert isinstance(answer, Settled)  # noqa: S101 - likewise
            recorder.answered(SETTLE, now_s, now_s - asked_s)
            recorder.ended(now_s, pair_s=now_s - due_s)
            self.checker.settled(planned, held, answer, after_s=now_s - begun_s)
