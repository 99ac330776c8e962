"""Events of alert rules: once a rule and period, in the transaction that met the rule, and read by position."""

import asyncio
from contextlib import AsyncExitStack
from threading import Event as Flag
from typing import Any

import pytest

from tests.support.ledgers import ACCOUNT, Ledger, fill, held, leads
from tests.support.watched_store import Watch, WatchedStore
from tollkeeper.core.alerts.events import AlertSubject, Event
from tollkeeper.core.alerts.rules import AlertRule
from tollkeeper.core.change import Denied
from tollkeeper.core.commands import (
    Commit,
    GrantCredits,
    ListEvents,
    UpdateAccount,
)
from tollkeeper.core.limits import LimitWindow
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.ports import UnavailableError
from tollkeeper.storage.store import open_store

HALF = AlertRule(
    0,
    "half",
    AlertSubject.CONSUMED,
    50,
    percent=True,
    window=LimitWindow.MONTH,
    time_zone="UTC",
    limit="",
)
LOW = AlertRule(
    0, "low", AlertSubject.REMAINING, 100, percent=False, window=None, time_zone="UTC", limit=""
)
NOW_US = 1_800_000_000_000_000
WAITING = "SELECT count(*) FROM event WHERE position IS NULL"


async def rule(
    engine: Engine, *rules: AlertRule, account_id: str = ACCOUNT, request_id: str = "rules"
) -> None:
    await engine.update_account(UpdateAccount(account_id, request_id, alerts=rules))


async def charge(engine: Engine, number: int, account_id: str = ACCOUNT) -> None:
    name = held(await engine.authorize(leads(f"r-{number}", account_id)))
    await engine.commit(Commit(name, http_status=200))


def placed(ledger: Ledger, **query: Any) -> list[Event]:
    """Every event that has a position, read page by page."""
    store = open_store(ledger.url)
    found: list[Event] = []
    page = store.reader.events(ListEvents(2, **query))
    found += page.events
    while page.next_after:
        page = store.reader.events(ListEvents(2, page.next_after, **query))
        found += page.events
    store.close()
    return found


async def test_of_many_changes_at_once_one_meets_the_rule(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=1_000)
        await rule(engine, HALF)
        await asyncio.gather(*[charge(engine, number) for number in range(80)])
        await engine.sweep()

    (event,) = placed(ledger)
    assert event[:1] + event[2:12] == (
        1,
        ACCOUNT,
        "half",
        AlertSubject.CONSUMED,
        "",
        50,
        True,
        500,
        1_000,
        *event[10:12],
    )
    assert event.window_start_us <= event.occurred_us < event.window_end_us


async def test_a_top_up_arms_a_rule_without_a_window_again(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=120)
        await rule(engine, LOW)
        for number in range(4):
            await charge(engine, number)
        await engine.grant_credits(GrantCredits(ACCOUNT, "top-up", 100))
        for number in range(4, 14):
            await charge(engine, number)
        await engine.sweep()

    events = placed(ledger)
    assert [(each.position, each.value, each.window_end_us) for each in events] == [
        (1, 100, 0),
        (2, 100, 0),
    ]
    assert ledger.rows("SELECT period FROM event ORDER BY period") == [(1,), (2,)]


async def test_an_event_is_numbered_soon_after_its_batch_and_by_the_next_sweep_at_the_latest(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=100)
        await rule(engine, LOW)
        await engine.flush_counts()  # the writer's next task comes after what it had left to do

        assert ledger.number(WAITING) == 0
        ledger.unlock()
        ledger.execute("UPDATE event SET position = NULL")
        await engine.sweep()
        assert ledger.number(WAITING) == 0


async def test_each_of_the_changes_of_one_call_goes_on_from_the_one_before(ledger: Ledger) -> None:
    """An Authorize for want of credits ends two holds whose grant has expired: two changes, and one is met."""
    clock = [NOW_US]
    store = open_store(ledger.url, clock=lambda: clock[0])
    engine = Engine(store)
    await engine.start(sweep=False)
    await fill(engine, credits=5)
    expiry_us = NOW_US + 1_000_000
    await engine.grant_credits(GrantCredits(ACCOUNT, "soon", 20, 0, expiry_us))
    await rule(engine, LOW._replace(threshold=15))
    for number in range(2):
        held(await engine.authorize(leads(f"r-{number}", hold_us=2_000_000)))
    clock[0] += 3_000_000

    denied = await engine.authorize(leads("too much"))
    await engine.sweep()
    await engine.stop()
    store.close()

    assert isinstance(denied, Denied)
    assert [(each.rule, each.value) for each in placed(ledger)] == [("low", 15)]
    assert ledger.findings() == []


async def test_a_rule_stays_met_while_the_clock_is_set_back_behind_its_period(
    ledger: Ledger,
) -> None:
    clock = [NOW_US]
    store = open_store(ledger.url, clock=lambda: clock[0])
    async with AsyncExitStack() as stack:
        stack.callback(store.close)
        engines = [Engine(store), Engine(store)]
        for engine in engines:
            await engine.start(sweep=False)
            stack.push_async_callback(engine.stop)
        await fill(engines[0], credits=100)
        await rule(engines[0], HALF._replace(threshold=10))
        await charge(engines[0], 1)
        clock[0] -= 40 * 86_400_000_000
        await charge(engines[1], 2)
        await engines[1].sweep()

    (event,) = placed(ledger)
    assert event.window_start_us <= NOW_US < event.window_end_us
    assert ledger.findings() == []


class Paused(Watch):
    """Stops one batch before its commit."""

    def __init__(self) -> None:
        self.armed, self.reached, self.go_on = Flag(), Flag(), Flag()

    def committing(self) -> None:
        if self.armed.is_set():
            self.armed.clear()
            self.reached.set()
            self.go_on.wait(10)


class LostOnce(Watch):
    """Loses the answer to one commit."""

    def __init__(self) -> None:
        self.lost = 0

    def committed(self) -> None:
        if self.lost == 1:
            self.lost = 2
            raise UnavailableError("the connection was lost")


async def test_a_batch_of_unknown_outcome_leaves_its_events_once(ledger: Ledger) -> None:
    watch = LostOnce()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, credits=110)
        await rule(engine, LOW)
        watch.lost = 1
        await charge(engine, 1)
        watch.lost = 1
        await rule(engine, LOW, HALF, request_id="more")
        await engine.sweep()

    assert watch.lost == 2
    assert [each.rule for each in placed(ledger)] == ["low"]


async def test_events_are_those_of_an_account_or_of_a_prefix(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, "a1", "a2", "b1", credits=50)
        for name in ("a1", "a2", "b1"):
            await rule(engine, LOW, account_id=name, request_id=name)
        await engine.sweep()

    assert [each.account_id for each in placed(ledger)] == ["a1", "a2", "b1"]
    assert [each.account_id for each in placed(ledger, account_id="a2")] == ["a2"]
    assert [each.account_id for each in placed(ledger, prefix="a")] == ["a1", "a2"]
    assert [each.account_id for each in placed(ledger, after=2)] == ["b1"]
    assert placed(ledger, account_id="nobody") == []


@pytest.mark.postgres
async def test_a_reader_by_position_misses_nothing_that_becomes_visible_late(
    postgres_ledger: Ledger,
) -> None:
    """Two servers: the one that began first is the last to commit, and its event the last to be numbered."""
    watch = Paused()
    async with (
        postgres_ledger.engine(wrap=lambda store: WatchedStore(store, watch)) as slow,
        postgres_ledger.engine() as fast,
    ):
        await fill(fast, "a", "b", credits=110)
        await rule(fast, LOW, account_id="a", request_id="a")
        await rule(fast, LOW, account_id="b", request_id="b")
        name = held(await fast.authorize(leads("r", "a")))
        watch.armed.set()
        late = asyncio.create_task(slow.commit(Commit(name, http_status=200)))
        await asyncio.to_thread(watch.reached.wait)
        await charge(fast, 1, "b")
        await fast.sweep()
        seen = placed(postgres_ledger)
        watch.go_on.set()
        await late
        await fast.sweep()

    later = placed(postgres_ledger, after=seen[-1].position)
    assert [(each.position, each.account_id) for each in seen] == [(1, "b")]
    assert [(each.position, each.account_id) for each in later] == [(2, "a")]
    assert later[0].occurred_us < seen[0].occurred_us
