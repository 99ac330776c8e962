"""Extensions beside commits, beside each other, and beside the deadline and the sweeper, over 64 connections."""

import asyncio
import time
from collections import Counter

import pytest

from tests.concurrency.gateways import Gateways, at_once, reason_of
from tests.support.ledgers import (
    CHARGE,
    COMMITTED,
    EXPIRED,
    HELD,
    OVERDUE_TOLERANCE_US,
)
from tests.support.thorough import thorough
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

HOLDS_OF = (
    "SELECT count(*) FROM hold h JOIN account a ON a.key = h.account_key "
    "WHERE a.account_id = :account_id"
)


@thorough
async def test_an_extension_and_a_commit_at_once_charge_in_time_and_leave_no_hold(
    gateways: Gateways,
) -> None:
    holds = await gateways.hold(50)

    reasons = await at_once(
        reason_of(gateways.commit(n, hold) if first else gateways.extend(n + 7, hold, 600))
        for n, hold in enumerate(holds)
        for first in ((True, False) if n % 2 else (False, True))
    )

    ledger, account_id = gateways.ledger, gateways.account_id
    assert Counter(reasons).keys() <= {"", "ALREADY_COMMITTED"}
    assert ledger.states(account_id) == {COMMITTED: 50}
    assert ledger.entries(account_id)[CHARGE] == (50, -500)
    assert ledger.number(HOLDS_OF, account_id=account_id) == 0


@thorough
async def test_extensions_of_one_hold_at_once_leave_it_the_longest(gateways: Gateways) -> None:
    (hold,) = await gateways.hold(1)

    answers = await at_once(gateways.extend(n, hold, 60 + 10 * n) for n in range(64))

    ledger, account_id = gateways.ledger, gateways.account_id
    longest_us = max(each.expire_time.ToMicroseconds() for each in answers)
    assert ledger.rows(
        "SELECT h.expires_us FROM hold h JOIN account a ON a.key = h.account_key "
        "WHERE a.account_id = :account_id",
        account_id=account_id,
    ) == [(longest_us,)]
    assert ledger.balance(account_id) == (500, 10)


async def test_extensions_beside_the_deadline_keep_what_they_were_granted_and_nothing_else(
    gateways: Gateways,
) -> None:
    holds = await gateways.hold(40, hold_s=1)
    deadline_s = time.monotonic() + 1

    async def extend(number: int, hold: str) -> str:
        # From half a second before the deadline to half a second after it, past the sweeper's turn.
        moment_s = deadline_s - 0.5 + number / len(holds)
        await asyncio.sleep(max(0.0, moment_s - time.monotonic()))
        return await reason_of(gateways.extend(number, hold, 600))

    reasons = Counter(await at_once(extend(number, hold) for number, hold in enumerate(holds)))

    ledger, account_id = gateways.ledger, gateways.account_id
    kept, expired = reasons[""], reasons["RESERVATION_EXPIRED"]
    assert min(kept, expired) > 0
    assert kept + expired == 40
    assert await asyncio.to_thread(
        wait_until,
        lambda: ledger.states(account_id) == {HELD: kept, EXPIRED: expired},
        timeout_s=OVERDUE_TOLERANCE_US / 1_000_000,
    )
    assert ledger.number(HOLDS_OF, account_id=account_id) == kept
    assert ledger.balance(account_id) == (500, 10 * kept)
