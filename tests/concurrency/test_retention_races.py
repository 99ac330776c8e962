"""Refunds and late commits while two servers move the same reservations out, and one of them is killed."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from tests.cli.processes import serving
from tests.concurrency.gateways import Deployment, at_once, granted
from tests.rpc.wire import read_refusal
from tests.support.ledgers import CHARGE, LATE_CHARGE, Ledger, fill
from tests.support.thorough import thorough, with_thorough
from tests.support.waiting import wait_until
from tests.support.writers import writers_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable
    from pathlib import Path

    from tests.concurrency.gateways import Gateways
    from tests.support.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

SHORT = ("--late-window-s", "1", "--retention-s", "1", "--log-level", "error")
REFUND = 4
PRICE = 75
TURNS_BEFORE = 15
SERVERS = (0, 1)
HOLDS = 150
LEFT = "SELECT count(*) FROM reservation"


@thorough
@pytest.mark.parametrize(
    "killed", with_thorough(["nothing", "a writer", "a server"], quick=["nothing"])
)
async def test_a_late_commit_comes_before_the_move_out_or_finds_nothing_and_refunds_go_on_after_it(
    killed: str, postgres: Postgres, ledger_template: str, tmp_path: Path
) -> None:
    ledger = Ledger(postgres.create_database(template=ledger_template))
    async with ledger.engine() as engine:
        await fill(engine, credits=1_000_000)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(tmp_path, *SHORT, database=ledger.url)) for _ in SERVERS
        ]
        deployment = Deployment(ledger, [each.address for each in servers], itertools.count())
        async with deployment.connected("acme") as gateways:
            charged = await held_at_once(gateways, "charged", "/v1/reports")
            await at_once(gateways.commit(n, name) for n, name in enumerate(charged))
            late = await held_at_once(gateways, "late", hold_s=1)
            begun, commits = asyncio.Event(), Counter[str]()
            refunds = asyncio.create_task(refund_all(gateways, charged, begun))
            await asyncio.to_thread(
                wait_until, lambda: ledger.number(LEFT) < 2 * HOLDS, timeout_s=20
            )
            begun.set()
            if killed == "a writer":
                os.kill(writers_of(servers[0].process.pid)[0], signal.SIGKILL)
            elif killed == "a server":
                servers[0].process.kill()
            commits += await outcomes(gateways.commit(n, name) for n, name in enumerate(late))
            answers = await refunds
            done = await asyncio.to_thread(
                wait_until, lambda: ledger.number(LEFT) == 0, timeout_s=30
            )

    assert done, ledger.states()
    entries = ledger.entries()
    assert answers["done"] <= entries[REFUND][0] <= answers["done"] + unknown(answers)
    more = entries[CHARGE][0] + entries.get(LATE_CHARGE, (0, 0))[0] - HOLDS
    assert commits["done"] <= more <= commits["done"] + unknown(commits)
    refusals = {"RESERVATION_NOT_FOUND", "REFUND_EXCEEDS_CHARGE", "RESERVATION_EXPIRED"}
    assert {*answers, *commits} <= {"done", "UNAVAILABLE", *refusals}
    assert "RESERVATION_NOT_FOUND" not in answers
    assert killed != "nothing" or unknown(answers + commits) == 0
    assert entries[REFUND][1] == HOLDS * PRICE, (
        "each charge was refunded whole, and no more than that"
    )
    anew = ledger.number("SELECT count(*) FROM entry WHERE kind = 4 AND grant_id <> 0")
    assert 0 < anew < entries[REFUND][0], "refunds before the move-out, and after it"
    assert ledger.number("SELECT sum(moved_out) FROM usage_hour") == 2 * HOLDS
    assert ledger.findings() == []
    postgres.drop_database(ledger.url)


async def refund_all(gateways: Gateways, charged: list[str], moving: asyncio.Event) -> Counter[str]:
    """Refund some credits of each charge again and again, until nothing is left of any; the last once they move."""
    told = Counter[str]()
    nothing_left = 0
    for turn in range(200):
        if turn == TURNS_BEFORE:
            await moving.wait()
        now = await outcomes(
            gateways.refund(number + turn, name, f"{name}-{turn}", 3)
            for number, name in enumerate(charged)
        )
        told += now
        # Where a server is gone, each charge meets the other one every second turn.
        nothing_left = nothing_left + 1 if now["REFUND_EXCEEDS_CHARGE"] and not now["done"] else 0
        if nothing_left == len(SERVERS):
            break
    return told


async def held_at_once(
    gateways: Gateways, run: str, path: str = "/v1/leads", *, hold_s: int | None = None
) -> list[str]:
    answers = await at_once(
        gateways.authorize(number, f"{run}-{number}", path, hold_s=hold_s)
        for number in range(HOLDS)
    )
    names = [answer.reservation.reservation_id for answer in granted(answers)]
    assert len(names) == HOLDS
    return names


async def outcomes(calls: Iterable[Awaitable[object]]) -> Counter[str]:
    return Counter(await at_once(outcome_of(call) for call in calls))


async def outcome_of(call: Awaitable[object]) -> str:
    """Make a call and say "done", or why not: by the reason, or by the status where the server is gone."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return "UNAVAILABLE"
        return read_refusal(error).reason
    return "done"


def unknown(told: Counter[str]) -> int:
    """How many calls have an unknown outcome."""
    return told["UNAVAILABLE"]
