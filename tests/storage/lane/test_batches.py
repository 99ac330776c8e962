"""A batch is one transaction under the locks of its accounts, on both databases alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ledgers import ACCOUNT, HELD, Ledger, fill, held, leads
from tests.support.waiting import wait_until
from tollkeeper.core.account import Account
from tollkeeper.engine.ports import ConflictError, LaneStore, Loaded, Needs, Writes
from tollkeeper.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Generator

WAITING_S = 15.0


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    return Ledger(ledger_url)


@pytest.fixture
async def key(ledger: Ledger) -> int:
    """The key of an account with 500 credits and one open hold."""
    async with ledger.engine() as engine:
        await fill(engine)
        return held(await engine.authorize(leads("r"))).account_key


@pytest.fixture
def lanes(ledger: Ledger) -> Generator[Callable[[], LaneStore]]:
    """Opens lanes, each of a store of its own, as servers have."""
    opened: list[tuple[Any, LaneStore]] = []

    def open_lane() -> LaneStore:
        store = open_store(ledger.url)
        opened.append((store, store.lane()))
        return opened[-1][1]

    yield open_lane
    for store, lane in opened:
        lane.close()
        store.close()


def account(loaded: Loaded, key: int) -> Account:
    return loaded.accounts[key]


def renamed(before: Account, name: str) -> Writes:
    after = before._replace(display_name=name)
    return Writes(accounts=[after], detailed=[after])


def test_meanwhile_is_once_and_only_where_the_database_is_another_process(
    key: int, lanes: Callable[[], LaneStore], ledger: Ledger
) -> None:
    lane = lanes()
    told: list[str] = []
    with lane.batch() as batch:
        loaded = batch.load(Needs(account_keys={key}))
        batch.write(renamed(account(loaded, key), "new"), lambda: told.append("meanwhile"))
        assert told == []

    with lane.batch() as batch:
        found = account(batch.load(Needs(account_keys={key})), key)

    assert told == (["meanwhile"] if ledger.url.startswith("postgresql") else [])
    assert found.display_name == "new"


def test_a_batch_reads_what_the_one_before_it_wrote(
    key: int, lanes: Callable[[], LaneStore]
) -> None:
    one, other = lanes(), lanes()
    for lane, name in ((one, "first"), (other, "second"), (one, "third")):
        with lane.batch() as batch:
            batch.write(renamed(account(batch.load(Needs(account_keys={key})), key), name))

    with other.batch() as batch:
        found = account(batch.load(Needs(account_keys={key})), key)

    assert (found.display_name, found.account_id) == ("third", ACCOUNT)
    assert (found.settled, found.held) == (500, 10)


def test_what_raises_in_a_batch_leaves_every_row_as_it_was(
    ledger: Ledger, key: int, lanes: Callable[[], LaneStore]
) -> None:
    lane = lanes()

    def break_it(before: Account) -> Writes:
        raise ValueError(f"broken for {before.account_id}")

    with pytest.raises(ValueError, match="broken for acme"):
        change(lane, key, break_it)

    assert ledger.findings() == []
    assert change(lane, key, lambda before: renamed(before, "later")).display_name == ""


def test_a_row_that_is_there_already_is_a_conflict_that_changes_nothing_and_the_lane_goes_on(
    ledger: Ledger, key: int, lanes: Callable[[], LaneStore]
) -> None:
    lane = lanes()

    with pytest.raises(ConflictError):
        change(
            lane,
            key,
            lambda before: Writes(new_accounts=[before], accounts=[before._replace(settled=0)]),
        )

    assert ledger.findings() == []
    assert change(lane, key, lambda before: renamed(before, "later")).settled == 500


def change(lane: LaneStore, key: int, writes: Callable[[Account], Writes]) -> Account:
    """Change an account in a batch; return it as it was before."""
    with lane.batch() as batch:
        before = account(batch.load(Needs(account_keys={key})), key)
        batch.write(writes(before))
    return before


async def test_a_batch_waits_for_the_locks_of_another_and_then_sees_what_it_did(
    key: int, lanes: Callable[[], LaneStore]
) -> None:
    one, other = lanes(), lanes()
    is_loading, is_loaded = threading.Event(), threading.Event()

    def read() -> str:
        is_loading.set()
        with other.batch() as batch:
            found = account(batch.load(Needs(account_keys={key})), key)
            is_loaded.set()
        return found.display_name

    with one.batch() as batch:
        found = account(batch.load(Needs(account_keys={key})), key)
        waiting = asyncio.create_task(asyncio.to_thread(read))
        assert await asyncio.to_thread(is_loading.wait, WAITING_S)
        assert not await asyncio.to_thread(is_loaded.wait, 0.2)
        batch.write(renamed(found, "written under the lock"))

    assert await waiting == "written under the lock"


async def test_batches_that_name_accounts_in_any_order_never_deadlock(
    ledger: Ledger, lanes: Callable[[], LaneStore]
) -> None:
    names = [f"account-{n}" for n in range(12)]
    async with ledger.engine() as engine:
        await fill(engine, *names)
    keys = [row[0] for row in ledger.rows("SELECT key FROM account")]

    def rename(lane: LaneStore, own: list[int]) -> None:
        for turn in range(25):
            with lane.batch() as batch:
                loaded = batch.load(Needs(account_keys=set(own)))
                accounts = [loaded.accounts[each] for each in own]
                batch.write(
                    Writes(
                        detailed=[each._replace(credit_limit=turn) for each in accounts],
                        accounts=accounts,
                    )
                )

    await asyncio.gather(
        *[
            asyncio.to_thread(rename, lanes(), keys[n:] + keys[:n] if n % 2 else keys[::-1])
            for n in range(4)
        ]
    )

    assert ledger.rows("SELECT DISTINCT credit_limit FROM account") == [(24,)]


def test_overdue_holds_come_by_deadline_and_only_of_the_accounts_asked_for(
    ledger: Ledger, key: int, lanes: Callable[[], LaneStore]
) -> None:
    lane = lanes()

    with lane.batch() as batch:
        loaded = batch.load(Needs(account_keys={key}))
        assert batch.overdue({key}, loaded.now_us) == []
        late = batch.overdue({key}, loaded.now_us + 60_000_000)
        assert batch.overdue({key + 64}, loaded.now_us + 60_000_000) == []

    assert [(each.account_key, each.state) for each in late] == [(key, HELD)]


async def test_no_batch_runs_beside_a_publication(key: int, lanes: Callable[[], LaneStore]) -> None:
    one, other = lanes(), lanes()
    times: list[int] = []

    def read() -> None:
        with other.batch() as batch:
            times.append(batch.load(Needs(account_keys={key})).now_us)

    with one.publication() as publication:
        waiting = asyncio.create_task(asyncio.to_thread(read))
        assert not await asyncio.to_thread(wait_until, lambda: bool(times), timeout_s=0.2)
        assert publication.price_book(publication.now_us).version == 1
    await waiting

    assert times[0] > publication.now_us
