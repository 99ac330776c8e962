"""What became of requests can be read: by outcome, by reason, and those that cost nothing."""

import dataclasses

import pytest

from tests.support.ledgers import ACCOUNT, Ledger, fill, held, leads
from tests.support.watched_store import Watch, WatchedStore
from tollkeeper.core.account import AccountState
from tollkeeper.core.change import Authorized, Denied
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    GetOverview,
    GetPlatformOverview,
    ListConsumption,
    PublishPrices,
    UpdateAccount,
)
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price, Unlisted
from tollkeeper.core.usage import DenialReason, UsageTotals
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.ports import Writes

RELEASED = [each for each in Outcome if each is not Outcome.VALID_RESPONSE]
ONCE_A_MONTH = Limit(
    0, "once", LimitUnit.REQUESTS, LimitWindow.MONTH, 0, "POST", "/v1/track", "UTC", enforce=True
)


class Writing(Watch):
    """Counts the batches that write."""

    batches = 0

    def writing(self, writes: Writes) -> None:
        self.batches += bool(writes)


def ask(method: str, path: str, request_id: str, *, dry_run: bool = False) -> Authorize:
    return Authorize(ACCOUNT, method, parse(path), request_id, dry_run=dry_run)


async def live(engine: Engine) -> None:
    """Let an account see every outcome and every reason."""
    await fill(engine, credits=80)
    for number, outcome in enumerate(RELEASED, 1):
        for again in range(number):
            name = held(await engine.authorize(leads(f"{outcome.name}-{again}")))
            await engine.commit(Commit(name, outcome=outcome))
    for number in range(3):
        assert isinstance(
            await engine.authorize(ask("GET", "/v1/free", f"free-{number}")), Authorized
        )
    held(await engine.authorize(leads("held")))
    assert isinstance(await engine.authorize(ask("GET", "/v1/reports", "dear")), Denied)
    await engine.update_account(UpdateAccount(ACCOUNT, "limit", limits=(ONCE_A_MONTH,)))
    assert isinstance(await engine.authorize(ask("POST", "/v1/track", "over")), Denied)
    strict = PublishPrices("strict", (Price("GET", "/v1/leads", 10),), Unlisted.DENIED)
    await engine.publish_prices(strict)
    assert isinstance(await engine.authorize(ask("GET", "/v1/free", "unlisted")), Denied)
    await engine.update_account(UpdateAccount(ACCOUNT, "block", state=AccountState.BLOCKED))
    assert isinstance(await engine.authorize(leads("blocked")), Denied)


def expected() -> UsageTotals:
    outcomes = {f"released_{each.name.lower()}": number for number, each in enumerate(RELEASED, 1)}
    reasons = [
        each.name.lower() for each in DenialReason if each is not DenialReason.ACCOUNT_NOT_FOUND
    ]
    denied = {f"denied_{reason}": 1 for reason in reasons}
    return UsageTotals(free=3, **outcomes, **denied)


async def test_every_report_tells_outcomes_reasons_and_free_requests(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await live(engine)
        await engine.flush_counts()
        overview = await engine.overview(GetOverview(ACCOUNT))
        consumption = await engine.consumption(ListConsumption(10))
        platform = await engine.platform_overview(GetPlatformOverview(endpoint_series=True))

    assert overview.total == expected()
    assert (overview.total.released, overview.total.denied) == (sum(range(1, len(RELEASED) + 1)), 4)
    assert [each.usage for each in consumption.accounts] == [expected()]
    assert platform.total == expected()
    assert [dataclasses.replace(overview).series] == [platform.series]
    by_name = {(each.method, each.path): each.usage for each in overview.endpoints}
    assert by_name["*", "/**"] == UsageTotals(free=3, denied_endpoint_not_listed=1)
    assert ledger.findings() == []


async def test_a_free_request_writes_nothing_and_is_counted_at_a_stop(ledger: Ledger) -> None:
    watch = Writing()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine)
        before = watch.batches
        for number in range(5):
            await engine.authorize(ask("GET", "/v1/free", f"free-{number}"))
        assert watch.batches == before

    assert ledger.number("SELECT sum(requests) FROM usage_hour WHERE kind = 60") == 5
    assert ledger.number("SELECT sum(requests) FROM usage_day WHERE kind = 60") == 5


@pytest.mark.parametrize("path", ["/v1/free", "/v1/leads"])
async def test_a_dry_run_counts_no_free_request(ledger: Ledger, path: str) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        await engine.authorize(ask("GET", path, "dry", dry_run=True))
        await engine.flush_counts()
        overview = await engine.overview(GetOverview(ACCOUNT))

    assert overview.total == UsageTotals()
