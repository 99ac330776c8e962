"""How operations become batches: by nature, in order, answered after the commit, at a constant cost."""

import asyncio
import itertools
import re
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import pytest

from tests.support.gates import Gate, in_one_batch, turns
from tests.support.ledgers import CHARGE, COMMITTED, HELD, Ledger, fill, held, leads
from tests.support.watched_store import WatchedStore
from tollkeeper.core.change import Authorized, Denied
from tollkeeper.core.commands import Commit
from tollkeeper.core.errors import Refused
from tollkeeper.engine.ids import IdSource
from tollkeeper.engine.lanes.lane import TURN_MIN
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.lane.sqlite_lane import SqliteLane

T = TypeVar("T")

PAYING = 1_000_000


async def test_what_arrives_while_a_batch_runs_is_the_next_batch(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=PAYING)
        gate.sizes.clear()

        await in_one_batch(engine, gate, [engine.authorize(leads(f"r-{n}")) for n in range(100)])

        assert gate.sizes == [1, 100]
    assert ledger.findings() == []


async def test_two_accounts_with_reservations_of_one_id_are_settled_in_one_batch(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lanes that drew the same bits give such ids, in other shards; a server with one lane has both of them."""
    gate = Gate()
    async with ledger.engine() as engine:
        await fill(engine, "acme", "stark", "wayne")
        monkeypatch.setattr(IdSource, "next", one_id)
        names = [held(await engine.authorize(leads("r", name))) for name in ("stark", "wayne")]
        monkeypatch.undo()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        settled = await in_one_batch(engine, gate, [engine.commit(Commit(n, 200)) for n in names])

    assert [each.credits for each in settled] == [10, 10]
    assert [ledger.states(name) for name in ("stark", "wayne")] == [{COMMITTED: 1}] * 2
    assert ledger.findings() == []


def one_id(_source: IdSource, _now_us: int) -> int:
    return 4_711


async def test_one_operation_alone_goes_at_once(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        gate.sizes.clear()

        for number in range(3):
            await engine.authorize(leads(f"r-{number}"))

        assert gate.sizes == [1, 1, 1]


async def test_a_batch_has_a_bound(ledger: Ledger) -> None:
    gate = Gate()
    settings = EngineSettings(batch_max=40)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=PAYING)
        gate.sizes.clear()

        await in_one_batch(engine, gate, [engine.authorize(leads(f"r-{n}")) for n in range(100)])

        assert gate.sizes == [1, 40, 40, 20]


async def test_no_answer_is_given_before_the_commit(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        gate.shut()
        calls = [asyncio.create_task(engine.authorize(leads(f"r-{n}"))) for n in range(5)]

        await gate.is_reached()
        await turns()
        assert not any(call.done() for call in calls)
        assert ledger.states() == {}

        gate.open()
        answers = await asyncio.gather(*calls)
        assert all(isinstance(answer, Authorized) for answer in answers)
        assert ledger.states() == {HELD: 5}


async def test_the_operations_of_a_batch_are_decided_in_the_order_of_their_arrival(
    ledger: Ledger,
) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, credits=510)

        answers = await in_one_batch(
            engine, gate, [engine.authorize(leads(f"r-{n}")) for n in range(70)]
        )

    assert [type(answer) for answer in answers] == [Authorized] * 50 + [Denied] * 20
    assert [answer.balance.available for answer in answers if answer.balance] == [
        max(0, 500 - 10 * (n + 1)) for n in range(70)
    ]
    assert ledger.findings() == []


async def test_equal_keys_in_one_batch_have_one_outcome(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)

        answers = await in_one_batch(engine, gate, [engine.authorize(leads("r")) for _ in range(9)])
        names = {held(answer) for answer in answers}
        assert len(names) == 1
        assert [a.replayed for a in answers if isinstance(a, Authorized)] == [False] + [True] * 8

        charged = await in_one_batch(
            engine, gate, [engine.commit(Commit(*names, http_status=200)) for _ in range(9)]
        )
        assert [answer.replayed for answer in charged] == [False] + [True] * 8
    assert ledger.entries()[CHARGE] == (1, -10)
    assert ledger.findings() == []


async def test_a_hold_made_and_settled_in_batches_of_any_size_is_charged_once(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, "a", "b", "c", credits=PAYING)

        async def pair(number: int) -> None:
            name = held(await engine.authorize(leads(f"r-{number}", "abc"[number % 3])))
            await engine.commit(Commit(name, http_status=200))

        await asyncio.gather(*[pair(number) for number in range(300)])

    for account_id in "abc":
        assert ledger.states(account_id) == {COMMITTED: 100}
        assert ledger.balance(account_id) == (PAYING - 1_000, 0)
    assert ledger.findings() == []


async def test_a_batch_costs_as_many_statements_as_one_operation(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    one_lane = EngineSettings(lanes=1)
    async with ledger.engine(one_lane, wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine, *[f"account-{n}" for n in range(20)], credits=PAYING)
        counts: dict[str, set[int]] = {"authorize": set(), "commit": set()}
        for size in (1, 10, TURN_MIN - 1):
            with counted(ledger, monkeypatch) as statements:
                answers = await in_one_batch(
                    engine,
                    gate,
                    [
                        engine.authorize(leads(f"{size}-{n}", f"account-{n % 20}"))
                        for n in range(size)
                    ],
                    before=statements.clear,
                )
                counts["authorize"].add(len(statements))
                await in_one_batch(
                    engine,
                    gate,
                    [engine.commit(Commit(held(each), http_status=200)) for each in answers],
                    before=statements.clear,
                )
                counts["commit"].add(len(statements))

    assert {name: len(found) for name, found in counts.items()} == {"authorize": 1, "commit": 1}
    assert max(itertools.chain(*counts.values())) <= 16
    assert ledger.findings() == []


@contextmanager
def counted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """Collect the statements that lanes run; a prepared statement run for many rows counts once."""
    statements: list[str] = []
    with monkeypatch.context() as patch:
        if ledger.on_postgres:
            patch.setattr(psycopg.Connection, "execute", recording(statements))
        else:
            patch.setattr(SqliteLane, "_connected", tracing(statements))
        yield statements


def recording(statements: list[str]) -> Any:
    execute: Any = psycopg.Connection.execute

    def recorded(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        statements.append(str(query))
        return execute(self, query, *arguments, **options)

    return recorded


def tracing(statements: list[str]) -> Any:
    connected: Any = SqliteLane._connected  # pyright: ignore[reportPrivateUsage]

    def traced(self: Any) -> Any:
        connection, driver = connected(self)

        def add(statement: str) -> None:
            shape = re.sub(r"x?'[^']*'|\b\d+\b|-\d+|NULL", "?", statement, flags=re.IGNORECASE)
            if statements[-1:] != [shape]:
                statements.append(shape)

        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(add)
        return connection, driver

    return traced


async def test_what_is_refused_in_a_batch_leaves_its_neighbours_alone(ledger: Ledger) -> None:
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("known")))
        await engine.commit(Commit(name, http_status=200))

        async def commit(status: int) -> object:
            try:
                return await engine.commit(Commit(name, http_status=status))
            except Refused as refused:
                return refused.reason.value

        answers = await in_one_batch(engine, gate, [commit(status) for status in (200, 500, 204)])

    assert answers[1] == "ALREADY_COMMITTED"
    assert [answers[0] == answers[2], ledger.entries()[CHARGE]] == [True, (1, -10)]
    assert ledger.findings() == []
