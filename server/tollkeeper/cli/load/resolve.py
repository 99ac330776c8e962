"""Finds out what became of requests whose answer was lost: repeats them by their own keys until each is known.

The repeats are calls of their own, whatever the mode of the run: the way by which an answer was lost may be what broke.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tollkeeper.cli.load.generator import BACK_OFF_MAX_S, BACK_OFF_S, Open
from tollkeeper.cli.load.transport import Failed, Transport
from tollkeeper.v1 import ledger_pb2 as pb

if TYPE_CHECKING:
    from tollkeeper.cli.load.judge import Judge

SIDE_BY_SIDE = 16


async def resolve(left: list[Open], judge: Judge, calls: Transport, *, within_s: float) -> None:
    """Empty `left`; what cannot be found out in time is counted as unresolved."""
    give_up_s = time.monotonic() + within_s

    async def work() -> None:
        while left:
            found = await _find_out(left.pop(), judge, calls, give_up_s)
            judge.tally.resolved += found
            judge.tally.unresolved += not found

    await asyncio.gather(*(work() for _ in range(SIDE_BY_SIDE)))


async def _find_out(each: Open, judge: Judge, calls: Transport, give_up_s: float) -> bool:
    planned, held = each.planned, each.held
    back_off_s = BACK_OFF_S
    while True:
        call = (
            pb.Operation(authorize=judge.authorize_of(planned))
            if held is None
            else judge.settle_of(planned, held)
        )
        (answer,) = await calls.carry_out([call])
        if isinstance(answer, pb.AuthorizeResponse):
            held = judge.authorized(planned, answer, repeated=True)
            if held is None:
                return True
        elif not isinstance(answer, Failed):
            assert held is not None  # noqa: S101 - it was settled by it
            judge.settled(planned, held, answer, after_s=time.monotonic() - each.begun_s)
            return True
        elif not (answer.perhaps_done or answer.overloaded):
            judge.refused(planned, f"{answer.reason} {answer.message}")
            return True
        elif time.monotonic() > give_up_s:
            return False
        else:
            if held is None and answer.perhaps_done:
                judge.tally.unheard[planned.account] += 1
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, BACK_OFF_MAX_S)
