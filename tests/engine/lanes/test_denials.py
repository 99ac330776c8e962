"""Denials: counted a moment late, together, and none forgotten at a stop."""

from tests.support.ledgers import ACCOUNT, Ledger, fill, leads
from tests.support.watched_store import Watch, WatchedStore
from tollkeeper.core.change import Denied
from tollkeeper.core.commands import GetOverview
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.ports import ConflictError, UnavailableError, Writes

COUNTED = "SELECT sum(requests) FROM usage_hour WHERE kind = 45"
COUNTED_BY_DAY = "SELECT sum(requests) FROM usage_day WHERE kind = 45"


class WriteCount(Watch):
    def __init__(self) -> None:
        self.writes = 0
        self.fail_with: Exception | None = None
        self.fail_after: Exception | None = None

    def writing(self, writes: Writes) -> None:
        self.writes += 1
        if self.fail_with is not None:
            error, self.fail_with = self.fail_with, None
            raise error

    def committed(self) -> None:
        if self.fail_after is not None:
            error, self.fail_after = self.fail_after, None
            raise error


async def test_a_denial_alone_writes_nothing_until_the_denials_are_counted(ledger: Ledger) -> None:
    watch = WriteCount()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, credits=5)
        before = watch.writes

        await be_denied(engine, 7)
        assert watch.writes == before
        assert ledger.number(COUNTED) == 0

        await engine.flush_counts()
        assert watch.writes == before + 1
        assert (await engine.overview(GetOverview(ACCOUNT))).total.denied == 7
    assert ledger.number(COUNTED) == ledger.number(COUNTED_BY_DAY) == 7


async def test_denials_are_counted_at_a_stop(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=5)
        await be_denied(engine, 3)

    assert ledger.number(COUNTED) == 3


async def test_a_sweep_counts_denials(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=5)
        await be_denied(engine, 3)

        await engine.sweep()

        assert ledger.number(COUNTED) == 3
    assert ledger.number(COUNTED) == 3


async def test_denials_that_could_not_be_written_are_counted_later(ledger: Ledger) -> None:
    watch = WriteCount()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, credits=5)
        await be_denied(engine, 3)

        for error in (ConflictError("lost"), UnavailableError("gone")):
            watch.fail_with = error
            await engine.flush_counts()
            assert ledger.number(COUNTED) == 0

        await be_denied(engine, 1)
        await engine.flush_counts()
        assert ledger.number(COUNTED) == 4


async def test_denials_whose_writing_is_of_unknown_outcome_are_not_counted_twice(
    ledger: Ledger,
) -> None:
    watch = WriteCount()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, credits=5)
        await be_denied(engine, 3)

        watch.fail_after = UnavailableError("gone right after the commit")
        await engine.flush_counts()
        await engine.flush_counts()

    assert ledger.number(COUNTED) == 3


async def test_a_fault_in_counting_denials_does_not_touch_the_answers(ledger: Ledger) -> None:
    watch = WriteCount()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, watch)) as engine:
        await fill(engine, credits=5)
        await be_denied(engine, 3)

        watch.fail_with = ValueError("a fault of the program")
        await engine.sweep()

        await be_denied(engine, 1)
    assert ledger.findings() == []


async def test_a_dry_run_is_not_counted(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=5)

        assert isinstance(await engine.authorize(leads("r")._replace(dry_run=True)), Denied)

    assert ledger.number(COUNTED) == 0


async def be_denied(engine: Engine, times: int) -> None:
    for number in range(times):
        assert isinstance(await engine.authorize(leads(f"denied-{number}")), Denied)
