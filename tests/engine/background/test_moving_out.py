"""Reservations whose retention time is over are moved out: in small batches, in free moments, each once."""

import asyncio
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.support.gates import Gate
from tests.support.ledgers import (
    COMMITTED,
    EXPIRED,
    HELD,
    RELEASED,
    Ledger,
    fill,
    held,
    leads,
    new_ledger,
)
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tests.support.watched_store import Watch, WatchedStore
from tollkeeper.core.account import SHARDS
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Commit, Refund, Release, UpdateAccount
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.reservation import ReservationName
from tollkeeper.core.usage import UsageKind
from tollkeeper.engine.background.mover import MOVER, share
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.lanes.retention import Found, OldReservations
from tollkeeper.engine.ports import Needs
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.store import open_store

KEPT = EngineSettings(retention_us=86_400_000_000)
AT_ONCE = EngineSettings(retention_us=0, late_window_us=0)
"""What has ended is moved out by the next round."""
LEFT = "SELECT count(*) FROM reservation"


class BatchSizes(Watch):
    """Remembers how many reservations each batch named."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def loading(self, needs: Needs) -> None:
        self.sizes.append(len(needs.reservations))


async def charge(engine: Engine, request_id: str, account_id: str = "acme") -> ReservationName:
    name = held(await engine.authorize(leads(request_id, account_id)))
    await engine.commit(Commit(name, http_status=200))
    return name


async def test_what_has_ended_is_gone_and_everything_it_left_behind_stays(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=1_000)
        await charge(engine, "charged")
        await engine.release(Release(held(await engine.authorize(leads("released")))))
        held(await engine.authorize(leads("expired", hold_us=1)))
        await engine.sweep()
        still = held(await engine.authorize(leads("held")))
        before = (ledger.entries(), ledger.balance(), usage(ledger))

        await engine.move_out()

        assert ledger.states() == {HELD: 1}
        assert (ledger.entries(), ledger.balance(), usage(ledger)) == before
        assert ledger.number("SELECT sum(moved_out) FROM usage_hour") == 3
        await engine.commit(Commit(still, http_status=200))
    assert ledger.findings() == []


async def test_nothing_is_moved_out_before_its_time(ledger: Ledger) -> None:
    async with ledger.engine(KEPT) as engine:
        await fill(engine, credits=1_000)
        await charge(engine, "charged")

        await engine.move_out()

    assert ledger.states() == {COMMITTED: 1}


async def test_an_expired_hold_is_kept_for_as_long_as_it_can_be_charged(ledger: Ledger) -> None:
    settings = replace(AT_ONCE, late_window_us=3_600_000_000)
    async with ledger.engine(settings) as engine:
        await fill(engine, credits=1_000)
        late = held(await engine.authorize(leads("late", hold_us=1)))
        await engine.sweep()

        await engine.move_out()

        assert ledger.states() == {EXPIRED: 1}
        assert (await engine.commit(Commit(late, http_status=200))).late
        await engine.move_out()
        assert ledger.states() == {}
    assert ledger.findings() == []


async def test_no_call_of_a_gateway_finds_what_was_moved_out(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=1_000)
        name = await charge(engine, "charged")
        first = await engine.refund(Refund(name, "refund", 4))
        await engine.move_out()

        for call in (
            engine.commit(Commit(name, http_status=200)),
            engine.release(Release(name)),
        ):
            with pytest.raises(Refused) as refused:
                await call
            assert refused.value.reason is Reason.RESERVATION_NOT_FOUND
        again = await engine.authorize(leads("charged"))
        repeated = await engine.refund(Refund(name, "refund", 4))

    assert isinstance(again, Authorized)
    assert not again.replayed, "its key is free again"
    assert (repeated.credits, repeated.replayed) == (first.credits, True)
    assert ledger.entries()[4] == (1, 4)
    assert ledger.findings() == []


async def test_a_round_goes_in_small_batches_and_calls_go_on_between_them(ledger: Ledger) -> None:
    watch = BatchSizes()
    settings = replace(AT_ONCE, move_out_batch=10)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, "a", "b", "c", credits=10_000)
        await asyncio.gather(*[charge(engine, f"r-{n}", "abc"[n % 3]) for n in range(95)])
        watch.sizes.clear()

        moving = asyncio.create_task(engine.move_out())
        await asyncio.sleep(0)
        await engine.authorize(leads("between", "a"))

        assert not moving.done()
        await moving
        assert ledger.number(LEFT) == 1
        assert (sum(watch.sizes), max(watch.sizes)) == (95, 10)
    assert ledger.findings() == []


async def test_the_server_moves_out_by_itself_in_free_moments(ledger: Ledger) -> None:
    settings = replace(AT_ONCE, move_out_every_s=0.05, move_out_batch=5)
    async with ledger.engine(settings, sweep=True) as engine:
        await fill(engine, credits=10_000)
        await asyncio.gather(*[charge(engine, f"r-{n}") for n in range(40)])

        moved = await asyncio.to_thread(wait_until, lambda: ledger.number(LEFT) == 0, timeout_s=15)

    assert moved
    assert ledger.findings() == []


async def test_where_a_lane_moves_out_it_waits_while_operations_wait(tmp_path: Path) -> None:
    """It begins when the lane has nothing to do, or when its patience is over."""
    ledger = new_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    watch = BatchSizes()
    settings = replace(AT_ONCE, move_out_every_s=0.001, batch_max=1)
    async with ledger.engine(
        settings, wrap=lambda store: WatchedStore(store, watch), sweep=True
    ) as engine:
        await fill(engine, credits=10_000)
        await charge(engine, "old")
        watch.sizes.clear()

        await asyncio.gather(*[engine.authorize(leads(f"r-{n}")) for n in range(30)])

        assert watch.sizes[:30].count(1) <= 1, "no move-out between them, at most one before"
        assert await asyncio.to_thread(
            wait_until, lambda: ledger.states().get(COMMITTED, 0) == 0, timeout_s=15
        )
    assert ledger.states() == {HELD: 30}


@thorough
async def test_a_mover_comes_all_the_same_where_operations_wait_all_the_time(
    ledger: Ledger,
) -> None:
    settings = replace(
        AT_ONCE, move_out_every_s=0.001, move_out_patience_s=0.01, move_out_batch=5, batch_max=1
    )
    async with ledger.engine(settings, sweep=True) as engine:
        await fill(engine, credits=10_000)
        await charge(engine, "old")

        stop = asyncio.Event()
        busy = [asyncio.create_task(repeat(engine, f"r-{n}", stop)) for n in range(8)]
        moved = await asyncio.to_thread(
            wait_until, lambda: COMMITTED not in ledger.states(), timeout_s=15
        )
        stop.set()
        await asyncio.gather(*busy)

    assert moved
    assert ledger.findings() == []


class GateOfMover(Gate):
    """Stops only a transaction that moves out, between reading and deleting."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    def loading(self, needs: Needs) -> None:
        self._here.moves_out = bool(needs.reservations) and not needs.account_keys

    def committing(self) -> None:
        if self._here.moves_out:
            super().committing()


@pytest.mark.postgres
async def test_on_postgresql_no_call_waits_for_what_is_being_moved_out_and_both_are_done(
    postgres_ledger: Ledger,
) -> None:
    gate = GateOfMover()
    async with postgres_ledger.engine(
        AT_ONCE, wrap=lambda store: WatchedStore(store, gate)
    ) as engine:
        await fill(engine, credits=1_000)
        charged = await charge(engine, "old")
        gate.shut()
        moving = asyncio.create_task(engine.move_out())
        await gate.is_reached()

        held(await engine.authorize(leads("new")))
        refund = await engine.refund(Refund(charged, "refund", 4))
        gate.open()
        await moving

    assert refund.credits == 4
    assert postgres_ledger.states() == {HELD: 1}
    assert postgres_ledger.findings() == []


@pytest.mark.postgres
async def test_on_postgresql_what_ends_otherwise_before_it_is_deleted_is_looked_at_again(
    postgres_ledger: Ledger,
) -> None:
    """A server that allows for late commits charges what one that does not is moving out as expired."""
    ledger, gate = postgres_ledger, GateOfMover()
    async with (
        ledger.engine() as patient,
        ledger.engine(AT_ONCE, wrap=lambda store: WatchedStore(store, gate)) as engine,
    ):
        await fill(patient, credits=1_000)
        late = held(await patient.authorize(leads("late", hold_us=1)))
        await patient.sweep()
        gate.shut()
        moving = asyncio.create_task(engine.move_out())
        await gate.is_reached()

        settled = await patient.commit(Commit(late, http_status=200))
        gate.open()
        await moving

    assert settled.late
    assert ledger.states() == {}
    moved = ledger.rows("SELECT kind, moved_out FROM usage_hour WHERE moved_out > 0")
    assert moved == [(int(UsageKind.CHARGED), 1)]
    assert ledger.findings() == []


@pytest.mark.postgres
async def test_on_postgresql_a_refund_that_is_on_its_way_comes_before_the_move_out(
    postgres_ledger: Ledger,
) -> None:
    gate = Gate()
    async with (
        postgres_ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as slow,
        postgres_ledger.engine(AT_ONCE) as engine,
    ):
        await fill(engine, credits=1_000)
        name = await charge(engine, "charged")
        gate.shut()
        refund = asyncio.create_task(slow.refund(Refund(name, "refund", 4)))
        await gate.is_reached()

        moving = asyncio.create_task(engine.move_out())
        done, _ = await asyncio.wait([moving], timeout=0.3)
        gate.open()
        await moving

        assert not done, "it waits for the account's lock"
        assert (await refund).credits == 4
    assert postgres_ledger.number(LEFT) == 0
    assert postgres_ledger.entries()[4] == (1, 4)
    assert postgres_ledger.findings() == []


async def test_a_stop_waits_for_no_more_than_the_transaction_that_has_begun(
    ledger: Ledger,
) -> None:
    settings = replace(AT_ONCE, move_out_every_s=0.001, move_out_batch=1)
    async with ledger.engine() as engine:
        await fill(engine, credits=100_000)
        await asyncio.gather(*[charge(engine, f"r-{n}") for n in range(600)])

    async with ledger.engine(settings, sweep=True):
        assert await asyncio.to_thread(wait_until, lambda: ledger.number(LEFT) < 600, timeout_s=15)

    assert ledger.number(LEFT) > 0
    assert ledger.findings() == []


@pytest.mark.postgres
async def test_of_engines_that_share_the_work_those_that_do_not_move_out_have_no_mover(
    postgres_ledger: Ledger,
) -> None:
    ledger = postgres_ledger
    store = open_store(ledger.url)
    one = Engine(store, AT_ONCE, moves_out=False)
    await one.start(sweep=True)
    await fill(one, credits=1_000)
    await charge(one, "charged")

    await one.move_out()
    named = [thread.name for thread in threading.enumerate()]
    await one.stop()
    store.close()

    assert ledger.states() == {COMMITTED: 1}
    assert MOVER not in named


@pytest.mark.parametrize(
    ("behind_s", "guest", "alone"),
    [
        (0, 0.02, 0.02),
        (600, 0.04, 0.04),
        (3_600, 0.14, 0.14),
        (7_200, 0.25, 0.26),
        (36_000, 0.25, 1.0),
        (10**9, 0.25, 1.0),
    ],
)
def test_the_further_behind_a_mover_is_the_larger_is_its_share(
    behind_s: int, guest: float, alone: float
) -> None:
    behind_us = behind_s * 1_000_000

    assert share(behind_us, EngineSettings(), guest=True) == pytest.approx(guest)
    assert share(behind_us, EngineSettings(), guest=False) == pytest.approx(alone)


async def test_the_reservations_of_an_account_go_together(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, "a", "b", "c", credits=10_000)
        await asyncio.gather(*[charge(engine, f"r-{n}", "abc"[n % 3]) for n in range(30)])
    store = open_store(ledger.url)
    lane = store.lane()

    old = OldReservations(lane, range(SHARDS), AT_ONCE)
    looks = list(iter(old.look, Found([], behind_us=0)))
    lane.close()
    store.close()

    found = [[each.reservation.account_key for each in look.commands] for look in looks]
    assert max(map(len, found)) > 3
    assert all(keys == sorted(keys) for keys in found)


async def test_a_look_finds_what_several_transactions_move_and_tells_how_far_behind_they_are(
    ledger: Ledger,
) -> None:
    settings = replace(AT_ONCE, move_out_batch=10)
    async with ledger.engine(settings) as engine:
        await fill(engine, credits=10_000)
        await asyncio.gather(*[charge(engine, f"r-{n}") for n in range(25)])
    later = open_store(ledger.url, clock=lambda: time.time_ns() // 1_000 + 3_600_000_000)
    lane = later.lane()
    old = OldReservations(lane, range(SHARDS), settings)

    looks = list(iter(old.look, Found([], behind_us=0)))
    lane.close()
    later.close()

    found = [each for each in looks if each.commands]
    assert [len(each.commands) for each in found] == [10, 10, 5]
    assert len({command for each in found for command in each.commands}) == 25
    assert all(3_600_000_000 <= each.behind_us < 3_660_000_000 for each in found)


async def test_two_servers_that_move_out_the_same_do_it_once(ledger: Ledger) -> None:
    async with ledger.engine(AT_ONCE) as one, ledger.engine(AT_ONCE) as other:
        await fill(one, "a", "b", credits=10_000)
        await asyncio.gather(*[charge(one, f"r-{n}", "ab"[n % 2]) for n in range(200)])

        await asyncio.gather(*[each.move_out() for each in (one, other, one, other)])

    assert ledger.number(LEFT) == 0
    assert ledger.number("SELECT sum(moved_out) FROM usage_hour") == 200
    assert ledger.findings() == []


@thorough
async def test_windows_in_which_nothing_counts_any_more_are_deleted_but_for_the_latest(
    ledger: Ledger,
) -> None:
    second = limit("second", LimitWindow.SECOND)
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=1_000)
        await engine.update_account(UpdateAccount("acme", "limits", limits=(second,)))
        for number in range(3):
            await charge(engine, f"r-{number}")
            await engine.release(Release(held(await engine.authorize(leads(f"released-{number}")))))
            begun_us = ledger.number("SELECT max(start_us) FROM limit_window")
            await asyncio.to_thread(wait_until, partial(is_over, begun_us), timeout_s=5)
        held(await engine.authorize(leads("held")))
        assert ledger.number("SELECT count(*) FROM limit_window") >= 4

        await engine.move_out()

        rows = ledger.rows("SELECT used, held, used_moved_out FROM limit_window")
        assert rows == [(0, 1, 0)]
    assert ledger.findings() == []


async def test_a_window_goes_on_counting_what_was_moved_out(ledger: Ledger) -> None:
    month = limit("month", LimitWindow.MONTH)
    async with ledger.engine(AT_ONCE) as engine:
        await fill(engine, credits=1_000)
        await engine.update_account(UpdateAccount("acme", "limits", limits=(month,)))
        await charge(engine, "one")
        await engine.release(Release(held(await engine.authorize(leads("two")))))
        await engine.move_out()
        await charge(engine, "three")

        await engine.move_out()

        rows = ledger.rows("SELECT used, held, used_moved_out FROM limit_window")
        assert rows == [(2, 0, 2)]
    assert ledger.states().get(RELEASED) is None
    assert ledger.findings() == []


async def repeat(engine: Engine, request_id: str, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await engine.authorize(leads(request_id))


def is_over(begun_us: int) -> bool:
    return time.time_ns() // 1_000 >= begun_us + 1_000_000


def limit(name: str, window: LimitWindow) -> Limit:
    return Limit(0, name, LimitUnit.REQUESTS, window, 100, "", "", "UTC", enforce=True)


def usage(ledger: Ledger) -> list[tuple[int, ...]]:
    return sorted(
        ledger.rows(
            "SELECT account_key, hour, endpoint_id, kind, requests, credits FROM usage_hour"
        )
    )
