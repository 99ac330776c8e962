"""Requests that are priced by an endpoint of another spelling: HEAD by GET, a verb by its pattern, a blank by none."""

from tests.support.ledgers import ACCOUNT, Ledger
from tollkeeper.core.change import Authorized, Denied
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    CreateAccount,
    GetOverview,
    GrantCredits,
    PublishPrices,
)
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price, Unlisted
from tollkeeper.core.usage import DenialReason
from tollkeeper.engine.engine import Engine

LEADS = Price("GET", "/v1/leads", 10)
RUN = Price("POST", "/v1/models/{model}:run", 30)


async def open_account(engine: Engine, *limits: Limit) -> None:
    prices = PublishPrices("prices", (LEADS, RUN), unlisted=Unlisted.DENIED)
    await engine.publish_prices(prices)
    await engine.create_account(CreateAccount(ACCOUNT, "create", limits=limits))
    await engine.grant_credits(GrantCredits(ACCOUNT, "grant", 500))


async def ask(engine: Engine, method: str, path: str) -> Authorized | Denied:
    return await engine.authorize(Authorize(ACCOUNT, method, parse(path), f"{method} {path}", None))


def limit(price: Price, maximum: int) -> Limit:
    unit, window = LimitUnit.REQUESTS, LimitWindow.MONTH
    method, path = price.method, price.path.replace("{model}", "{any}")
    return Limit(0, path, unit, window, maximum, method, path, "UTC", enforce=True)


async def test_whatever_spelling_is_priced_verify_takes_for_its_endpoint(ledger: Ledger) -> None:
    spellings = [
        *("/v1/%20leads", "/%20v1/leads", "/v1/leads%EF%BB%BF", "/v1/%EF%BB%BF/leads"),
        *("/v1/leads/%EF%BB%BF", "/%E2%80%80v1/leads", "/v1/leads%C2%A0"),
    ]
    async with ledger.engine() as engine:
        await open_account(engine)
        await engine.publish_prices(PublishPrices("free", (LEADS, RUN)))
        answers = [await ask(engine, "GET", path) for path in spellings]
        answers += [
            await ask(engine, "POST", f"/v1/{at}models/a:run%EF%BB%BF") for at in ("", "%20")
        ]

    assert [each.credits for each in answers] == [10] * len(spellings) + [30] * 2
    assert ledger.findings() == []


async def test_head_is_priced_counted_and_limited_as_get(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await open_account(engine, limit(LEADS, 2))

        head = await ask(engine, "HEAD", "/v1/leads")
        get = await ask(engine, "GET", "/v1/leads")
        refused = await ask(engine, "HEAD", "/v1/leads/")

        assert isinstance(head, Authorized)
        assert isinstance(get, Authorized)
        assert head.credits == get.credits == 10
        assert isinstance(refused, Denied)
        assert refused.reason is DenialReason.LIMIT_EXCEEDED
        for each in (head, get):
            assert each.reservation is not None
            await engine.commit(Commit(each.reservation, http_status=200))
        overview = await engine.overview(GetOverview(ACCOUNT))
    counted = [(each.method, each.path, each.usage.requests) for each in overview.endpoints]
    assert counted == [("GET", "/v1/leads", 2)]
    assert ledger.rows("SELECT method FROM reservation ORDER BY method") == [("GET",), ("HEAD",)]
    assert ledger.findings() == []


async def test_a_verb_is_priced_and_limited_by_its_pattern(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await open_account(engine, limit(RUN, 1))

        first = await ask(engine, "POST", "/v1/models/pro:run")
        second = await ask(engine, "POST", "/v1/models/lite:run")
        other = await ask(engine, "POST", "/v1/models/pro:stop")

        assert isinstance(first, Authorized)
        assert first.credits == 30
        assert isinstance(second, Denied)
        assert second.reason is DenialReason.LIMIT_EXCEEDED
        assert isinstance(other, Denied)
        assert other.reason is DenialReason.ENDPOINT_NOT_LISTED
    assert ledger.findings() == []


async def test_a_blank_at_the_end_is_not_a_way_to_an_unlisted_endpoint(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await open_account(engine)
        free = PublishPrices("free", (LEADS, RUN), unlisted=Unlisted.FREE)

        denied = await ask(engine, "GET", "/v1/leads%20")
        await engine.publish_prices(free)
        held = await ask(engine, "GET", "/v1/leads%20%20")

        assert isinstance(denied, Denied)
        assert denied.reason is DenialReason.ENDPOINT_NOT_LISTED
        assert isinstance(held, Authorized)
        assert held.credits == 10
    assert ledger.findings() == []
