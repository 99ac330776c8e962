"""A charge can be refunded for good: once its reservation was moved out, to a new grant, and never more than it was."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tests.support.ledgers import ACCOUNT, Ledger, fill, held, leads
from tollkeeper.core.answers.explanation import ExplainReservation
from tollkeeper.core.commands import (
    Commit,
    GetOverview,
    GrantCredits,
    Refund,
    Release,
    UpdateAccount,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.reservation import ReservationName
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage import reader

AT_ONCE = EngineSettings(retention_us=0, late_window_us=0)
IN_2100_US = 4_102_444_800_000_000
REFUND = 4


async def charged_and_gone(
    engine: Engine, request_id: str = "old", *, refunded: int = 0
) -> ReservationName:
    """Charge 10 credits, refund some of them, and move the reservation out."""
    name = held(await engine.authorize(leads(request_id)))
    await engine.commit(Commit(name, http_status=200))
    if refunded:
        await engine.refund(Refund(name, f"{request_id}-before", refunded))
    await engine.move_out()
    return name


async def refusal_of(engine: Engine, command: Refund) -> Refused:
    with pytest.raises(Refused) as refused:
        await engine.refund(command)
    return refused.value


async def test_it_is_given_back_as_a_new_grant(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=100)
        name = await charged_and_gone(engine)

        answer = await engine.refund(Refund(name, "r-1", 4, "sorry"))
        rest = await engine.refund(Refund(name, "r-2"))

        assert (answer.credits, answer.balance.settled) == (4, 94)
        assert (rest.credits, rest.balance.settled) == (6, 100)
        overview = await engine.overview(GetOverview(ACCOUNT))
        told = await engine.explanation(ExplainReservation(name))

    first, second = (
        next(each for each in overview.grants if each.grant_id == grant_id)
        for grant_id in (answer.grant_id, rest.grant_id)
    )
    assert (first.credits, first.remaining, first.note, first.expires_us) == (
        4,
        4,
        "sorry",
        NEVER_US,
    )
    assert (second.credits, second.remaining) == (6, 6)
    assert (overview.lifetime_credits, overview.total.refunded_credits) == (0, 10)
    assert told.refunded == 10
    assert ledger.entries()[REFUND] == (2, 10)
    assert ledger.findings() == []


async def test_what_was_refunded_before_counts(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=100)
        name = await charged_and_gone(engine, refunded=7)

        too_much = await refusal_of(engine, Refund(name, "r-1", 4))
        rest = await engine.refund(Refund(name, "r-2"))
        nothing = await refusal_of(engine, Refund(name, "r-3"))

    assert rest.credits == 3
    assert too_much.reason is nothing.reason is Reason.REFUND_EXCEEDS_CHARGE
    assert too_much.message.endswith(
        "charged 10 credits, of which 7 are refunded; 3 are left to refund"
    )
    assert ledger.entries()[REFUND] == (2, 10)
    assert ledger.findings() == []


async def test_the_new_grant_expires_when_the_call_says(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=100)
        name = await charged_and_gone(engine)

        past = await refusal_of(engine, Refund(name, "r-1", 4, expires_us=1))
        answer = await engine.refund(Refund(name, "r-2", 4, expires_us=IN_2100_US))
        overview = await engine.overview(GetOverview(ACCOUNT))

    assert past.reason is Reason.INVALID_FIELD
    assert [each.expires_us for each in overview.grants if each.grant_id == answer.grant_id] == [
        IN_2100_US
    ]


async def test_a_repeat_answers_as_the_first_and_gives_nothing_more(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=100)
        name = await charged_and_gone(engine)

        first = await engine.refund(Refund(name, "r-1", 4))
        again = await engine.refund(Refund(name, "r-1", 4))
        other = await refusal_of(engine, Refund(name, "r-1", 5))

    assert again == first._replace(replayed=True)
    assert other.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert ledger.entries()[REFUND] == (1, 4)


async def test_what_is_owed_is_repaid_first(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=10)
        await engine.update_account(UpdateAccount(ACCOUNT, "line", credit_limit=100))
        names = [await charged_and_gone(engine, f"r-{number}") for number in range(3)]

        answer = await engine.refund(Refund(names[0], "refund", 5))
        overview = await engine.overview(GetOverview(ACCOUNT))
        assert (answer.balance.settled, overview.grants) == (-15, ())
        await engine.refund(Refund(names[1], "another"))
        await engine.refund(Refund(names[2], "a third"))
        await engine.grant_credits(GrantCredits(ACCOUNT, "more", 7))
        last = await engine.overview(GetOverview(ACCOUNT))

    assert last.balance.settled == sum(each.remaining for each in last.grants) == 12
    assert ledger.findings() == []


async def test_what_charged_nothing_is_not_found(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=100)
        released = held(await engine.authorize(leads("released")))
        await engine.release(Release(released))
        await engine.move_out()
        unknown = released._replace(reservation_id=released.reservation_id + 1)
        nobody = released._replace(account_key=released.account_key + 64)

        for name in (released, unknown, nobody):
            refused = await refusal_of(engine, Refund(name, f"refund-{name}"))
            assert refused.reason is Reason.RESERVATION_NOT_FOUND


async def test_it_is_found_however_much_was_charged_meanwhile(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHARGES_AT_ONCE", 3)
    monkeypatch.setattr("tollkeeper.storage.read.entries.CHARGES_AT_ONCE", 3)
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=1_000)
        waiting = held(await engine.authorize(leads("slow")))
        for number in range(20):
            await engine.commit(
                Commit(held(await engine.authorize(leads(f"r-{number}"))), http_status=200)
            )
        await engine.commit(Commit(waiting, http_status=200))
        await engine.move_out()

        answer = await engine.refund(Refund(waiting, "refund"))

    assert answer.credits == 10


@pytest.mark.postgres
async def test_two_servers_refund_one_charge_no_more_than_it_was(postgres_ledger: Ledger) -> None:
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(postgres_ledger.engine(AT_ONCE)) for _ in range(2)
        ]
        await fill(engines[0], credits=100)
        name = held(await engines[0].authorize(leads("old")))
        await engines[0].commit(Commit(name, http_status=200))

        async def refund(number: int) -> str:
            try:
                await engines[number % 2].refund(Refund(name, f"refund-{number}", 1))
            except Refused as refused:
                return refused.reason.value
            return "done"

        moving = asyncio.gather(*[each.move_out() for each in engines])
        told = Counter(await asyncio.gather(*[refund(number) for number in range(40)]))
        await moving

    assert told == {"done": 10, "REFUND_EXCEEDS_CHARGE": 30}
    assert postgres_ledger.entries()[REFUND] == (10, 10)
    assert postgres_ledger.findings() == []
