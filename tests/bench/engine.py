"""The engine without gRPC beside the bare script; with two lanes; on one account; and beside one transaction a call.

In each of them callers wait for their own answers, and batches are what happens to come together.
"""

from __future__ import annotations

from tests.bench import ledger
from tests.bench.bare import postgres, sqlite
from tests.bench.databases import POSTGRESQL, Bench
from tests.bench.engine_pairs import Load, pairs_per_second
from tests.bench.figure import Figure, Measure
from tollkeeper.engine.settings import EngineSettings

MANY = 10_000
"""Accounts beside which the one is measured."""

SINGLE = EngineSettings(batch_max=1, lanes=8, apart_min=1)
"""One transaction a call. Eight connections on PostgreSQL, where one would be slower still; SQLite has one writer."""

SINGLE_CALLERS = 64


def beside_the_bare_script(bench: Bench) -> list[Figure]:
    """Each on a ledger of its own, since the script's accounts are all in one state."""
    figures: list[Figure] = []
    for database in bench.databases:
        script = postgres if database == POSTGRESQL else sqlite
        pairs: list[float] = []
        bare: list[float] = []
        with bench.ledger(database) as url, bench.ledger(database) as beside:
            for number in bench.turns():
                bare.append(
                    script.pairs_per_second(
                        beside,
                        seconds=bench.seconds,
                        warm_up_s=bench.warm_up_s,
                        run=f"bare-{number}",
                    )
                )
                pairs.append(pairs_per_second(url, load(bench, f"engine-{number}")))
        name = f"{database}: engine, 1,000 callers / bare script, batches of 1,000"
        figures.append(Figure(name, pairs, bare, at_least=0.75))
    return figures


def two_lanes(bench: Bench) -> list[Figure]:
    """What a second writer adds where the machine has processors for it."""
    found: dict[int, list[float]] = {1: [], 2: []}
    with bench.ledger(POSTGRESQL) as url:
        for number in bench.turns():
            for lanes, rates in found.items():
                settings = EngineSettings(lanes=lanes)
                run = f"lanes-{lanes}-{number}"
                rates.append(pairs_per_second(url, load(bench, run, settings=settings)))
    name = "PostgreSQL: engine, 1,000 callers, 2 lanes / 1 lane"
    return [Figure(name, found[2], found[1], at_least=1.5)]


def one_account(bench: Bench) -> list[Figure]:
    """What a customer costs who is all the traffic."""
    return [_one_account(bench, database) for database in bench.databases]


def _one_account(bench: Bench, database: str) -> Figure:
    many = bench.scaled(MANY, 100)

    def the_one(_: int) -> str:
        return ledger.account_id(0, many)

    def any_of(number: int) -> str:
        return ledger.account_id(number, many)

    hot: list[float] = []
    spread: list[float] = []
    with bench.ledger(database, accounts=many) as url:
        for number in bench.turns():
            for rates, account in ((spread, any_of), (hot, the_one)):
                run = f"{account.__name__}-{number}"
                rates.append(pairs_per_second(url, load(bench, run, account=account)))
    name = f"{database}: engine, 1,000 callers of one account / of {many:,}"
    return Figure(name, hot, spread, at_least=0.9)


def one_transaction_a_call(bench: Bench) -> list[Figure]:
    """Batches by nature, beside the same statements for each call alone, over up to eight connections."""
    return [_one_transaction_a_call(bench, database) for database in bench.databases]


def _one_transaction_a_call(bench: Bench, database: str) -> Figure:
    batches: list[float] = []
    singles: list[float] = []
    with bench.ledger(database) as url:
        for number in bench.turns():
            for rates, settings in ((singles, SINGLE), (batches, EngineSettings())):
                run = f"at-most-{settings.batch_max}-{number}"
                asked = load(bench, run, settings=settings, callers=SINGLE_CALLERS)
                rates.append(pairs_per_second(url, asked))
    name = f"{database}: engine, {SINGLE_CALLERS} callers, batches / one transaction a call"
    return Figure(name, batches, singles, at_least=8.0 if database == POSTGRESQL else None)


def load(bench: Bench, run: str, **more: object) -> Load:
    """Return a load of the bench's length."""
    return Load(run, bench.seconds, bench.warm_up_s, **more)  # pyright: ignore[reportArgumentType]


MEASURES = (
    Measure("engine", "engine without gRPC / bare script", beside_the_bare_script, 2.5),
    Measure("lanes", "PostgreSQL, 2 lanes / 1 lane", two_lanes, 1.0),
    Measure("hot", "one account / 10,000 accounts", one_account, 2.5),
    Measure("single", "batches / one transaction a call", one_transaction_a_call, 2.0),
)
