"""Many calls at the same moment, over 64 connections: to one server on SQLite, and to two on one PostgreSQL."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from typing import TypeAlias

import pytest

from tests.concurrency.gateways import Gateways, at_once, granted, reason_of
from tests.support.ledgers import (
    CHARGE,
    COMMITTED,
    EXPIRED,
    HELD,
    LATE_CHARGE,
    OVERDUE_TOLERANCE_US,
    RELEASED,
)
from tests.support.waiting import wait_until
from tollkeeper.v1 import admin_pb2, ledger_pb2, prices_pb2

pytestmark = pytest.mark.slow

Settlement: TypeAlias = ledger_pb2.CommitResponse | ledger_pb2.ReleaseResponse

LATER_US = 700_000


async def test_fifty_of_four_hundred_are_granted_and_charged_once_however_often_they_are_committed(
    gateways: Gateways,
) -> None:
    ledger, account_id = gateways.ledger, gateways.account_id

    answers = await at_once(gateways.authorize(n, f"r-{n}") for n in range(400))
    holds = [answer.reservation.reservation_id for answer in granted(answers)]
    assert (len(holds), len(set(holds))) == (50, 50)
    assert await gateways.available() == 0
    assert ledger.balance(account_id) == (500, 500)

    settled = await at_once(gateways.commit(n, holds[n % 50]) for n in range(200))
    assert sum(not answer.replayed for answer in settled) == 50
    assert {answer.credits for answer in settled} == {10}
    assert ledger.entries(account_id)[CHARGE] == (50, -500)
    assert ledger.states(account_id) == {COMMITTED: 50}
    assert ledger.balance(account_id) == (0, 0)


async def test_six_of_twenty_requests_of_75_are_granted_on_500_credits(gateways: Gateways) -> None:
    answers = await at_once(gateways.authorize(n, f"r-{n}", "/v1/reports") for n in range(20))

    assert len(granted(answers)) == 6
    assert await gateways.available() == 50
    assert gateways.ledger.balance(gateways.account_id) == (500, 450)
    assert gateways.ledger.states(gateways.account_id) == {HELD: 6}


async def test_a_burst_of_a_thousand_on_a_limit_of_a_hundred_grants_a_hundred(
    gateways: Gateways,
) -> None:
    await gateways.grant(0, f"{gateways.account_id}-for-all", 10_000)
    await gateways.limit(
        ledger_pb2.Limit(
            name="burst",
            unit=ledger_pb2.Limit.UNIT_REQUESTS,
            window=ledger_pb2.Limit.WINDOW_MONTH,
            maximum=100,
        )
    )

    answers = await at_once(gateways.authorize(n, f"r-{n}") for n in range(1_000))

    assert len(granted(answers)) == 100
    assert {each.denial.limit for each in answers if each.HasField("denial")} == {"burst"}
    assert gateways.ledger.states(gateways.account_id) == {HELD: 100}
    assert gateways.ledger.rows(
        "SELECT w.used, w.held FROM limit_window w JOIN account a ON a.key = w.account_key "
        "WHERE a.account_id = :account_id",
        account_id=gateways.account_id,
    ) == [(0, 100)]


async def test_one_request_id_from_64_gateways_is_one_hold(gateways: Gateways) -> None:
    answers = await at_once(gateways.authorize(n, "the same") for n in range(64))

    assert len({answer.reservation.reservation_id for answer in granted(answers)}) == 1
    assert Counter(answer.replayed for answer in answers) == {False: 1, True: 63}
    assert gateways.ledger.balance(gateways.account_id) == (500, 10)
    assert gateways.ledger.states(gateways.account_id) == {HELD: 1}


async def test_one_grant_from_64_gateways_is_given_once(gateways: Gateways) -> None:
    answers = await at_once(gateways.grant(n, f"{gateways.account_id}-gift", 40) for n in range(64))

    assert len({answer.grant.grant_id for answer in answers}) == 1
    assert Counter(answer.replayed for answer in answers) == {False: 1, True: 63}
    assert gateways.ledger.balance(gateways.account_id) == (540, 0)


async def test_one_account_that_64_operators_open_is_opened_by_one(gateways: Gateways) -> None:
    name = f"{gateways.account_id}-new"

    same = await at_once(reason_of(gateways.create(n, f"{name}-same", name)) for n in range(64))
    others = await at_once(
        reason_of(gateways.create(n, f"{name}-other-{n}", f"{name}-{n % 4}")) for n in range(64)
    )

    assert Counter(same) == {"": 64}
    assert Counter(others) == {"": 4, "ACCOUNT_EXISTS": 60}
    assert (
        gateways.ledger.number(
            "SELECT count(*) FROM account WHERE account_id LIKE :names", names=f"{name}%"
        )
        == 5
    )


async def test_a_commit_and_a_release_at_once_have_one_winner(gateways: Gateways) -> None:
    holds = await gateways.hold(50)

    reasons = await at_once(
        reason_of(gateways.commit(n, hold) if first else gateways.release(n + 7, hold))
        for n, hold in enumerate(holds)
        for first in ((True, False) if n % 2 else (False, True))
    )

    counts = Counter(reasons)
    committed, released = counts["ALREADY_COMMITTED"], counts["ALREADY_RELEASED"]
    assert (counts[""], committed + released, counts.total()) == (50, 50, 100)
    ledger, account_id = gateways.ledger, gateways.account_id
    assert ledger.states(account_id) == without_zeros({COMMITTED: committed, RELEASED: released})
    assert ledger.balance(account_id) == (500 - 10 * committed, 0)
    assert ledger.entries(account_id).get(CHARGE, (0, 0)) == (committed, -10 * committed)


async def test_a_commit_and_the_deadline_at_once_charge_once(gateways: Gateways) -> None:
    holds = await gateways.hold(45, hold_s=1)
    deadline_s = time.monotonic() + 1

    async def commit(number: int, hold: str) -> ledger_pb2.CommitResponse:
        # From half a second before the deadline to half a second after it, past the sweeper's turn.
        moment_s = deadline_s - 0.5 + number / len(holds)
        await asyncio.sleep(max(0.0, moment_s - time.monotonic()))
        return await gateways.commit(number, hold)

    settled = await at_once(commit(number, hold) for number, hold in enumerate(holds[:40]))

    ledger, account_id = gateways.ledger, gateways.account_id
    late = sum(answer.late for answer in settled)
    assert 0 < late < 40
    assert {answer.state for answer in settled} == {ledger_pb2.RESERVATION_STATE_COMMITTED}
    assert await asyncio.to_thread(
        wait_until,
        lambda: ledger.states(account_id) == {COMMITTED: 40, EXPIRED: 5},
        timeout_s=OVERDUE_TOLERANCE_US / 1_000_000,
    )
    kinds = ledger.entries(account_id)
    assert (kinds[CHARGE], kinds[LATE_CHARGE]) == ((40 - late, 10 * late - 400), (late, -10 * late))
    assert ledger.balance(account_id) == (100, 0)


async def test_every_hold_has_the_price_of_its_moment_while_prices_change(
    gateways: Gateways,
) -> None:
    ledger, account_id = gateways.ledger, gateways.account_id
    await gateways.grant(0, f"{account_id}-much", 10**9)
    published: list[prices_pb2.PriceList] = []
    busy = True

    async def authorize(number: int) -> None:
        turn = 0
        while busy:
            answer = await gateways.authorize(number, f"r-{number}-{turn}")
            assert answer.WhichOneof("decision") == "reservation"
            turn += 1

    callers = [asyncio.create_task(authorize(number)) for number in range(32)]
    begins_us = time.time_ns() // 1_000 + LATER_US
    for number in range(6):
        change = price_change(account_id, 11 + number, begins_us=begins_us if number == 2 else None)
        answer = await gateways.publish(number, change)
        published.append(answer.prices)
        await at_once(gateways.authorize(40 + n, f"after-{number}-{n}") for n in range(10))
    await asyncio.sleep(max(0.0, (begins_us - time.time_ns() // 1_000) / 1_000_000))
    await at_once(gateways.authorize(40 + n, f"later-{n}") for n in range(10))
    busy = False
    await asyncio.gather(*callers)
    # The tests after this one find the usual price.
    await gateways.publish(0, price_change(account_id, 10))

    lists = ledger.rows("SELECT effective_us, version FROM price_list ORDER BY 1, 2")
    prices = dict(ledger.rows("SELECT version, credits FROM price WHERE position = 0"))  # pyright: ignore[reportArgumentType] -- two columns
    holds = ledger.rows(
        "SELECT created_us, price_version, credits FROM reservation WHERE account_key = "
        "(SELECT key FROM account WHERE account_id = :account_id)",
        account_id=account_id,
    )
    wrong = [
        (created_us, version, credits)
        for created_us, version, credits in holds
        if version != max(each for each in lists if each[0] <= created_us)[1]
        or credits != prices[version]
    ]
    assert wrong == []
    # The list for later may have come before one of the others was asked for.
    assert len({version for _, version, _ in holds}) >= 5
    assert [each.version for each in published] == list(
        range(published[0].version, published[0].version + 6)
    )


async def test_everything_at_once_on_one_account_adds_up(gateways: Gateways) -> None:
    ledger, account_id = gateways.ledger, gateways.account_id
    told: Counter[str] = Counter()

    async def gateway(number: int) -> None:
        for turn in range(8):
            # Neighbours share their request ids, so that half of all Authorize calls are repeats.
            answer = await gateways.authorize(number, f"r-{number // 2}-{turn}")
            if answer.WhichOneof("decision") == "denial":
                told["denied"] += 1
                await gateways.grant(number, f"{account_id}-{number}-{turn}", 20)
                told["grants"] += 1
                continue
            hold = answer.reservation.reservation_id
            told["holds"] += not answer.replayed
            if (number + turn) % 3:
                for first in await at_once(
                    is_first(gateways.commit(number + n, hold)) for n in (0, 1)
                ):
                    told["charges"] += first
            else:
                first = await is_first(gateways.release(number, hold))
                told["releases"] += first

    await at_once(gateway(number) for number in range(64))

    states = ledger.states(account_id)
    assert states.keys() <= {HELD, COMMITTED, RELEASED}
    assert sum(states.values()) == told["holds"]
    assert states.get(COMMITTED, 0) == told["charges"] > 0
    assert states.get(RELEASED, 0) == told["releases"] > 0
    settled, held = ledger.balance(account_id)
    assert settled == 500 + 20 * told["grants"] - 10 * told["charges"]
    assert held == 10 * states.get(HELD, 0)
    assert settled - held >= 0
    assert ledger.entries(account_id)[CHARGE] == (told["charges"], -10 * told["charges"])


async def is_first(call: Awaitable[Settlement]) -> bool:
    """Say whether this call settled its hold: not so where it repeats, or comes after the opposite."""
    answers: list[Settlement] = []

    async def settle() -> None:
        answers.append(await call)

    assert await reason_of(settle()) in {"", "ALREADY_COMMITTED", "ALREADY_RELEASED"}
    return any(not answer.replayed for answer in answers)


def price_change(
    run: str, credits: int, *, begins_us: int | None = None
) -> admin_pb2.PublishPricesRequest:
    """A list in which GET /v1/leads costs so much, from now on or from a later moment."""
    request = admin_pb2.PublishPricesRequest(request_id=f"{run}-prices-{credits}")
    request.prices.prices.add(method="GET", path="/v1/leads", credits=credits)
    request.prices.prices.add(method="GET", path="/v1/reports", credits=75)
    if begins_us is not None:
        request.prices.effective_time.FromMicroseconds(begins_us)
    return request


def without_zeros(counts: dict[int, int]) -> dict[int, int]:
    return {name: count for name, count in counts.items() if count}
