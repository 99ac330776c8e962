"""Redirects: free by default, charged where the price list says so, and as they were where they were settled before."""

import pytest

from tests.support.ledgers import ACCOUNT, COMMITTED, RELEASED, Ledger, fill, held, leads
from tollkeeper.core.commands import Commit, GetOverview, PublishPrices, Release
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.price_lists import Price

RELEASED_REDIRECTED = 28


async def test_a_redirect_and_the_answer_after_it_cost_one_request(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        moved = held(await engine.authorize(leads("moved")))
        answered = held(await engine.authorize(leads("answered")))

        redirect = await engine.commit(Commit(moved, http_status=301))
        answer = await engine.commit(Commit(answered, http_status=200))

        assert (redirect.outcome, redirect.credits) == (Outcome.REDIRECTED, 0)
        assert (answer.outcome, answer.credits) == (Outcome.VALID_RESPONSE, 10)
        total = (await engine.overview(GetOverview(ACCOUNT))).total
    assert (total.credits, total.requests, total.released) == (10, 1, 1)
    assert (
        ledger.number(
            "SELECT sum(requests) FROM usage_hour WHERE kind = :kind", kind=RELEASED_REDIRECTED
        )
        == 1
    )
    assert ledger.findings() == []


async def test_a_price_list_may_charge_redirects(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        price = Price("GET", "/v1/leads", 10, charge_on=("2xx", "301"))
        await engine.publish_prices(PublishPrices("charged", (price,)))
        first, second = [held(await engine.authorize(leads(name))) for name in ("a", "b")]

        charged = await engine.commit(Commit(first, http_status=301))
        free = await engine.commit(Commit(second, http_status=302))

    assert (charged.outcome, charged.credits) == (Outcome.VALID_RESPONSE, 10)
    assert (free.outcome, free.credits) == (Outcome.REDIRECTED, 0)
    assert ledger.findings() == []


async def test_a_caller_may_say_that_a_request_was_redirected(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        first, second = [held(await engine.authorize(leads(name))) for name in ("a", "b")]

        committed = await engine.commit(Commit(first, outcome=Outcome.REDIRECTED))
        await engine.release(Release(second, Outcome.REDIRECTED))

        assert committed.credits == 0
    assert ledger.states() == {RELEASED: 2}
    assert ledger.number("SELECT count(*) FROM reservation WHERE outcome = 8") == 2
    assert ledger.findings() == []


async def test_a_redirect_that_an_earlier_version_charged_stays_charged_and_its_repeat_says_so(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("moved")))
        await engine.commit(Commit(name, http_status=200))
        ledger.execute("UPDATE reservation SET http_status = 301")

        again = await engine.commit(Commit(name, http_status=301))

        assert (again.outcome, again.credits) == (Outcome.VALID_RESPONSE, 10)
        assert again.replayed
        with pytest.raises(Refused) as refused:
            await engine.commit(Commit(name, http_status=302))
        assert refused.value.reason is Reason.ALREADY_COMMITTED
    assert ledger.states() == {COMMITTED: 1}
    assert ledger.findings() == []
