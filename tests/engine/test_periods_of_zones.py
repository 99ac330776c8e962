"""A day, a month and an hour are those of the zone, to the microsecond, in every report and in every limit."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.clocked import Clock, running
from tests.support.ledgers import ACCOUNT, LEADS, Ledger, fill, held, leads
from tests.support.thorough import with_thorough
from tollkeeper.core.change import Denied
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    GetOverview,
    GetPlatformOverview,
    Granularity,
    ListConsumption,
    ListEntries,
    Release,
    UpdateAccount,
)
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.usage import UsageTotals
from tollkeeper.engine.engine import Engine

HALVES = [
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
]
MINUTE_US = 60_000_000
CHARGED = UsageTotals(requests=1, credits=10)


def at(words: str, zone: str) -> int:
    """Return when the clocks of a zone show this."""
    return int(datetime.fromisoformat(words).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


async def charge(engine: Engine, request_id: str) -> None:
    await engine.commit(Commit(held(await engine.authorize(leads(request_id))), http_status=200))


@pytest.mark.parametrize("zone", with_thorough(HALVES, quick=HALVES[:2]))
async def test_a_charge_at_the_end_of_the_month_is_of_that_month_everywhere(
    ledger: Ledger, zone: str
) -> None:
    clock = Clock(at("2026-10-31 23:55", zone))
    month = Limit(
        0, "month", LimitUnit.CREDITS, LimitWindow.MONTH, 1_000, "", "", zone, enforce=True
    )
    first_us, next_us = at("2026-10-01 00:00", zone), at("2026-11-01 00:00", zone)

    async with running(ledger, clock) as engine:
        await fill(engine)
        await engine.update_account(UpdateAccount(ACCOUNT, "limit", limits=(month,)))
        await charge(engine, "r-1")
        last = [
            await engine.overview(GetOverview(ACCOUNT, granularity=by, time_zone=zone))
            for by in Granularity
        ]
        consumption = await engine.consumption(ListConsumption(10, time_zone=zone))
        platform = await engine.platform_overview(GetPlatformOverview(time_zone=zone))
        statement = await engine.entries(ListEntries(ACCOUNT, 10, 0, first_us, next_us))
        clock.now_us += 5 * MINUTE_US
        after = await engine.overview(GetOverview(ACCOUNT, time_zone=zone))

    for overview in last:
        assert (overview.start_us, overview.end_us) == (first_us, next_us)
        assert overview.total == CHARGED
        assert overview.series[-1].usage == CHARGED
        ((_, window),) = overview.limits
        assert (window.start_us, window.end_us, window.used) == (first_us, next_us, 10)
    assert [each.usage for each in consumption.accounts] == [CHARGED]
    assert (platform.start_us, platform.end_us, platform.total) == (first_us, next_us, CHARGED)
    assert [each.entry.credits for each in statement.entries] == [500, -10]
    assert after.start_us == next_us
    assert after.total == UsageTotals()
    assert after.limits[0][1].used == 0
    assert ledger.findings() == []


@pytest.mark.parametrize("zone", with_thorough(HALVES, quick=HALVES[:2]))
async def test_today_is_the_day_of_the_zone(ledger: Ledger, zone: str) -> None:
    clock = Clock(at("2026-11-10 00:00", zone) - 1)
    days = [at(f"2026-11-{day:02} 00:00", zone) for day in (9, 10, 11)]

    async with running(ledger, clock) as engine:
        await fill(engine)
        await charge(engine, "yesterday")
        clock.now_us += 1
        await charge(engine, "today")
        await charge(engine, "today, too")
        seen = await engine.overview(GetOverview(ACCOUNT, days[0], days[2], time_zone=zone))
        hours = await engine.overview(
            GetOverview(ACCOUNT, days[0], days[2], Granularity.HOUR, zone)
        )

    assert [(each.start_us, each.usage.requests) for each in seen.series] == [
        (days[0], 1),
        (days[1], 2),
    ]
    used = [(each.start_us, each.usage.requests) for each in hours.series if each.usage.requests]
    assert used == [(days[1] - 60 * MINUTE_US, 1), (days[1], 2)]


async def test_what_was_released_expired_and_denied_is_of_its_quarter_too(ledger: Ledger) -> None:
    zone = "Asia/Kathmandu"
    clock = Clock(at("2026-11-10 00:00", zone) - MINUTE_US)
    days = [at(f"2026-11-{day:02} 00:00", zone) for day in (9, 10, 11)]

    async with running(ledger, clock) as engine:
        await fill(engine, credits=40)
        for request_id in ("released", "late"):
            await engine.release(Release(held(await engine.authorize(leads(request_id)))))
            held(await engine.authorize(leads(f"{request_id} too", hold_us=90_000_000)))
            clock.now_us += MINUTE_US
        reports = Authorize(
            ACCOUNT, "GET", LEADS._replace(text="/v1/reports", readings=(("v1", "reports"),)), "no"
        )
        assert isinstance(await engine.authorize(reports), Denied)
        clock.now_us += 30 * MINUTE_US
        await engine.sweep()
        seen = await engine.overview(GetOverview(ACCOUNT, days[0], days[2], time_zone=zone))

    yesterday, today = (each.usage for each in seen.series)
    assert (yesterday.released, yesterday.expired, yesterday.denied) == (1, 0, 0)
    assert (today.released, today.expired, today.denied) == (1, 2, 1)
    assert ledger.findings() == []


async def test_an_hour_of_a_limit_begins_when_the_clocks_of_its_zone_show_a_full_one(
    ledger: Ledger,
) -> None:
    clock = Clock(at("2026-11-10 09:59:59", "Asia/Kathmandu"))
    hour = Limit(
        0, "hour", LimitUnit.REQUESTS, LimitWindow.HOUR, 1, "", "", "Asia/Kathmandu", enforce=True
    )

    async with running(ledger, clock) as engine:
        await fill(engine)
        await engine.update_account(UpdateAccount(ACCOUNT, "limit", limits=(hour,)))
        await charge(engine, "r-1")
        refused = await engine.authorize(leads("r-2"))
        clock.now_us += 1_000_000
        await charge(engine, "r-3")

    assert isinstance(refused, Denied)
    assert refused.retry_after_us == 1_000_000


async def test_the_window_of_an_hour_that_an_older_server_began_goes_on_to_its_end(
    ledger: Ledger,
) -> None:
    zone = "Asia/Kolkata"
    clock = Clock(at("2026-11-10 15:45", zone))
    hour = Limit(0, "hour", LimitUnit.REQUESTS, LimitWindow.HOUR, 2, "", "", zone, enforce=True)

    async with running(ledger, clock) as engine:
        await fill(engine)
        await engine.update_account(UpdateAccount(ACCOUNT, "limit", limits=(hour,)))
        await charge(engine, "r-1")
    began_us = at("2026-11-10 15:30", zone)
    ledger.execute("UPDATE limit_window SET start_us = start_us + 1800000000")
    windows = f"replace(windows, '{began_us - 30 * MINUTE_US}', '{began_us}')"
    ledger.execute(f"UPDATE reservation SET windows = {windows}")  # noqa: S608 - ours
    async with running(ledger, clock) as engine:
        shown = await engine.overview(GetOverview(ACCOUNT))
        await charge(engine, "r-2")
        refused = await engine.authorize(leads("r-3"))
        clock.now_us = at("2026-11-10 16:00", zone)
        await charge(engine, "r-4")

    assert shown.limits[0][1].used == 1
    assert isinstance(refused, Denied)
    assert refused.retry_after_us == 15 * MINUTE_US
    assert ledger.findings() == []
