"""Resolves requests whose answer was lost: repeats each with its own key until its outcome is known.

The repeats are single calls in every mode: the transport that lost an answer may be broken.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tollkeeper_loadtest.operations import Denied, Held
from tollkeeper_loadtest.sending.generator import BACK_OFF_MAX_S, BACK_OFF_S, Open
from tollkeeper_loadtest.sending.transport import Failed, Transport

if TYPE_CHECKING:
    from tollkeeper_loadtest.checking.answers import AnswerChecker

SIDE_BY_SIDE = 16


async def resolve(
    left: list[Open], checker: AnswerChecker, calls: Transport, *, within_s: float
) -> None:
    """Empty `left`; what cannot be found out in time is counted as unresolved."""
    give_up_s = time.monotonic() + within_s

    async def work() -> None:
        while left:
            resolved = await _find_out(left.pop(), checker, calls, give_up_s)
            checker.tally.resolved += resolved
            checker.tally.unresolved += not resolved

    await asyncio.gather(*(work() for _ in range(SIDE_BY_SIDE)))


async def _find_out(each: Open, checker: AnswerChecker, calls: Transport, give_up_s: float) -> bool:
    planned, held = each.planned, each.held
    back_off_s = BACK_OFF_S
    while True:
        call = checker.authorize_of(planned) if held is None else checker.settle_of(planned, held)
        (answer,) = await calls.carry_out([call])
        if isinstance(answer, Held | Denied):
            held = checker.authorized(planned, answer, repeated=True)
            if held is None:
                return True
        elif not isinstance(answer, Failed):
            assert held is not None  # noqa: S101 - it was settled by it
            checker.settled(planned, held, answer, after_s=time.monotonic() - each.begun_s)
            return True
        elif not (answer.perhaps_done or answer.overloaded):
            checker.refused(planned, f"{answer.reason} {answer.message}")
            return True
        elif time.monotonic() > give_up_s:
            return False
        else:
            if held is None and answer.perhaps_done:
                checker.tally.lost_answers[planned.account] += 1
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, BACK_OFF_MAX_S)
