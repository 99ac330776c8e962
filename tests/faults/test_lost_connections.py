"""PostgreSQL takes connections away, or goes and comes back, while the engine works."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.faults.proxy import proxied
from tests.support import postgres as clusters
from tests.support.gates import Gate, answer_or_error
from tests.support.ledgers import (
    CHARGE,
    COMMITTED,
    EXPIRED,
    HELD,
    PRICES,
    Ledger,
    fill,
    held,
    leads,
    new_ledger,
)
from tests.support.thorough import thorough
from tests.support.waiting import wait_until
from tests.support.watched_store import WatchedStore
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Commit, GrantCredits, PublishPrices
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.ports import Needs, Writes
from tollkeeper.engine.settings import EngineSettings

pytestmark = pytest.mark.postgres


ACCOUNTS = ("a", "b", "c", "d")
PAIRS = 600
CALLERS = 40
ROUNDS = 15
LANES = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"


@dataclass(slots=True)
class Told:
    committed: int = 0
    refused: Counter[Reason] = field(default_factory=Counter[Reason])


async def test_connections_that_are_killed_under_load_lose_and_double_nothing(
    postgres_ledger: Ledger,
) -> None:
    ledger = postgres_ledger
    settings = EngineSettings(lanes=2)
    told = Told()
    async with ledger.engine(settings, sweep=True) as engine:
        await fill(engine, *ACCOUNTS, credits=10**9)
        numbers = iter(range(PAIRS))

        async def caller() -> None:
            for number in numbers:
                await pair(engine, number, told)

        callers = asyncio.gather(*[caller() for _ in range(CALLERS)])
        rounds = 0
        while not callers.done() and rounds < ROUNDS:
            rounds += await asyncio.to_thread(terminate, ledger) > 0
            await asyncio.sleep(0.03)
        await callers

        assert rounds >= 3
        async with asyncio.timeout(20):
            held(await engine.authorize(leads("after it", "a")))
        view = await engine.account("a")
        assert view.balance.held == 10

    assert told.committed == PAIRS
    assert told.refused.keys() <= {Reason.STORE_UNAVAILABLE}
    states = [ledger.states(name).get(COMMITTED, 0) for name in ACCOUNTS]
    assert sum(states) == PAIRS
    assert sum(ledger.entries(name)[CHARGE][0] for name in ACCOUNTS) == PAIRS
    assert ledger.number("SELECT sum(charged) FROM account") == 10 * PAIRS
    assert ledger.findings() == []


class Cuts(Gate):
    """Has the lane's connection killed at one step of its next batch."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.step = ""
        self._ledger = ledger

    def beginning(self) -> None:
        self._cut("idle")

    def loading(self, needs: Needs) -> None:
        super().loading(needs)
        self._cut("before it reads")

    def writing(self, writes: Writes) -> None:
        super().writing(writes)
        self._cut("before it writes")

    def committing(self) -> None:
        super().committing()
        self._cut("before it commits")

    def committed(self) -> None:
        self._cut("after it was committed")

    def _cut(self, step: str) -> None:
        if self.step == step:
            self.step = ""
            assert terminate(self._ledger) > 0


STEPS = [
    "idle",
    "before it reads",
    "before it writes",
    "before it commits",
    "after it was committed",
]


async def test_a_connection_that_is_killed_at_any_step_of_a_batch_is_not_noticed(
    postgres_ledger: Ledger,
) -> None:
    ledger = postgres_ledger
    cuts = Cuts(ledger)
    async with ledger.engine(wrap=lambda store: WatchedStore(store, cuts)) as engine:
        await fill(engine, "a")
        for number, step in enumerate(STEPS):
            # A new price list has the lane read it, on the same connection in another way.
            await engine.publish_prices(PublishPrices(f"prices-{number}", PRICES))

            cuts.step = step
            answer = await engine.authorize(leads(f"r-{number}", "a"))
            assert isinstance(answer, Authorized), step
            assert (answer.replayed, answer.price_version) == (False, 2 + number), step

            cuts.step = step
            settled = await engine.commit(Commit(held(answer), http_status=200))
            assert (settled.replayed, cuts.step) == (False, ""), step

            cuts.step = step if step != "before it writes" else "before it commits"
            again = await engine.commit(Commit(held(answer), http_status=200))
            assert (again.replayed, cuts.step) == (True, ""), step

    assert ledger.states("a") == {COMMITTED: len(STEPS)}
    assert ledger.entries("a")[CHARGE] == (len(STEPS), -10 * len(STEPS))
    assert ledger.findings() == []


async def test_a_line_that_is_cut_after_the_commit_and_before_its_answer_is_not_noticed(
    postgres_ledger: Ledger,
) -> None:
    async with (
        proxied(postgres_ledger.url) as (proxy, url),
        Ledger(url).engine() as engine,
    ):
        await fill(engine, "a")
        for number in range(1, 4):
            proxy.armed = True
            answers = await asyncio.gather(
                *[engine.authorize(leads(f"r-{number}-{n}", "a")) for n in range(5)]
            )
            assert [each.replayed for each in answers if isinstance(each, Authorized)] == [
                False
            ] * 5

            proxy.armed = True
            settled = await asyncio.gather(
                *[engine.commit(Commit(held(each), http_status=200)) for each in answers]
            )
            assert [each.replayed for each in settled] == [False] * 5

            proxy.armed = True
            grant = await engine.grant_credits(GrantCredits("a", f"gift-{number}", 1))
            assert (grant.replayed, grant.balance.settled) == (False, 500 - 49 * number)
            assert proxy.cuts == 3 * number

    assert postgres_ledger.states("a") == {COMMITTED: 15}
    assert postgres_ledger.entries("a")[CHARGE] == (15, -150)
    assert postgres_ledger.findings() == []


async def test_work_that_is_not_a_batch_comes_back_after_its_connection_was_killed(
    postgres_ledger: Ledger,
) -> None:
    """A sweep, a publication and a read may fail once, and say so; the next one works."""
    async with postgres_ledger.engine(EngineSettings(lanes=1)) as engine:
        await fill(engine, "a")
        held(await engine.authorize(leads("r", "a", hold_us=1)))

        for number, work in enumerate(
            (
                engine.sweep,
                lambda: engine.publish_prices(PublishPrices("more", PRICES)),
                lambda: engine.account("a"),
            )
        ):
            await engine.authorize(leads(f"connect-{number}", "a")._replace(dry_run=True))
            assert await asyncio.to_thread(terminate, postgres_ledger) > 0
            with contextlib.suppress(Refused):
                await work()
            await work()

    assert postgres_ledger.states("a") == {EXPIRED: 1}
    assert postgres_ledger.number("SELECT count(*) FROM price_list") == 2
    assert postgres_ledger.findings() == []


async def test_an_account_that_an_operator_has_locked_waits_and_is_then_unavailable(
    postgres_ledger: Ledger,
) -> None:
    ledger = postgres_ledger
    async with ledger.engine(EngineSettings(retry_for_s=0.5)) as engine:
        await fill(engine, "a")
        with psycopg.connect(plain(ledger)) as operator:
            operator.execute("SELECT * FROM account WHERE account_id = 'a' FOR UPDATE")
            async with asyncio.timeout(10):
                refused = await answer_or_error(engine.authorize(leads("r", "a")))
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.STORE_UNAVAILABLE

            waiting = asyncio.create_task(engine.authorize(leads("r", "a")))
            await asyncio.wait([waiting], timeout=0.1)
            assert not waiting.done()
            operator.rollback()
        answer = await waiting

    assert isinstance(answer, Authorized)
    assert answer.replayed is False
    assert ledger.states("a") == {HELD: 1}
    assert ledger.findings() == []


async def pair(engine: Engine, number: int, told: Told) -> None:
    """Authorize and commit, each again while the store is unavailable, as a gateway would."""
    request = leads(f"r-{number}", ACCOUNTS[number % len(ACCOUNTS)])
    replayed = (False,)
    while True:
        try:
            answer = await engine.authorize(request)
        except Refused as refused:
            told.refused[refused.reason] += 1
            replayed = (False, True)
        else:
            break
    assert isinstance(answer, Authorized)
    assert answer.replayed in replayed
    replayed = (False,)
    while True:
        try:
            settled = await engine.commit(Commit(held(answer), http_status=200))
        except Refused as refused:
            told.refused[refused.reason] += 1
            replayed = (False, True)
        else:
            break
    assert settled.replayed in replayed
    told.committed += 1


def terminate(ledger: Ledger) -> int:
    """Kill every connection to the database but this one; return how many there were."""
    with psycopg.connect(plain(ledger), autocommit=True) as connection:
        return len(connection.execute(f"{LANES} AND pid <> pg_backend_pid()").fetchall())


def plain(ledger: Ledger) -> str:
    """The URL as the driver itself takes it."""
    return ledger.url.replace("postgresql+psycopg://", "postgresql://")


@dataclass(slots=True)
class Cluster:
    """A server of this test alone, that can be stopped and started again."""

    binaries: Path
    folder: Path
    port: int
    user: str | None
    watchers: list[object] = field(default_factory=list[object])

    def start(self) -> None:
        watcher = clusters.launch(
            self.binaries, self.folder, self.user, port=self.port, fsync=False
        )
        self.watchers.append(watcher)
        assert clusters.answers(self.port, log=self.folder / "log")

    def kill(self) -> None:
        """Stop at once, as a crash would: what was committed is recovered at the next start."""
        number = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(number, signal.SIGQUIT)
        gone = wait_until(
            lambda: not (self.folder / "data" / "postmaster.pid").exists(), timeout_s=20
        )
        assert gone


@pytest.fixture
def cluster(postgres: clusters.Postgres) -> Generator[Cluster]:
    binaries = clusters.find_binaries()
    assert binaries is not None
    user = None if os.getuid() != 0 else clusters.unprivileged_user()
    folder = clusters.private_folder(user, None)
    clusters.run_initdb(binaries, folder, user)
    cluster = Cluster(binaries, folder, clusters.free_port(), user)
    try:
        cluster.start()
        yield cluster
    finally:
        for watcher in reversed(cluster.watchers):
            with contextlib.suppress(OSError):
                clusters.stop(watcher)  # pyright: ignore[reportArgumentType]


@thorough
async def test_a_database_that_goes_is_unavailable_and_comes_back_with_everything(
    cluster: Cluster,
) -> None:
    ledger = new_ledger(f"postgresql+psycopg://postgres@127.0.0.1:{cluster.port}/postgres")
    settings = EngineSettings(lanes=2, retry_for_s=0.5)
    async with ledger.engine(settings, sweep=True) as engine:
        await fill(engine, *ACCOUNTS)
        before = [held(await engine.authorize(leads("before", name))) for name in ACCOUNTS]
        await asyncio.to_thread(cluster.kill)

        begun_s = time.monotonic()
        refusals = await asyncio.gather(
            *[engine.authorize(leads(f"away-{n}", ACCOUNTS[n % 4])) for n in range(40)],
            engine.account("a"),
            engine.commit(Commit(before[0], http_status=200)),
            return_exceptions=True,
        )
        assert time.monotonic() - begun_s < 10
        assert all(
            isinstance(each, Refused)
            and each.reason is Reason.STORE_UNAVAILABLE
            and each.retry_after_us
            for each in refusals
        ), refusals

        await asyncio.to_thread(cluster.start)
        for name in before:
            assert (await engine.commit(Commit(name, http_status=200))).replayed is False
        again = await asyncio.gather(
            *[engine.authorize(leads(f"away-{n}", ACCOUNTS[n % 4])) for n in range(40)]
        )
        assert all(isinstance(answer, Authorized) for answer in again)
        assert (await engine.account("a")).balance.settled == 490

    assert ledger.number("SELECT count(*) FROM reservation") == 44
    assert sum(ledger.entries(name)[CHARGE][0] for name in ACCOUNTS) == 4
    assert ledger.findings() == []
