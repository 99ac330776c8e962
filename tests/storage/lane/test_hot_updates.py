"""How PostgreSQL updates the hot rows: in place (HOT), without touching an index."""

import asyncio

import pytest

from tests.support.ledgers import Ledger, fill, held, leads
from tests.support.postgres import Postgres
from tests.support.waiting import wait_until
from tollkeeper.core.commands import Commit, Extend
from tollkeeper.engine.settings import EngineSettings

pytestmark = pytest.mark.postgres

PAIRS = 400
EXTENSIONS = PAIRS // 4
HOUR_US = 3_600_000_000
UPDATES = (
    "SELECT sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables "
    "WHERE (relname = :table OR relid IN "
    "(SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST(:table AS regclass))) "
    "AND pg_stat_force_next_flush() IS NOT NULL"
)


async def test_reservations_and_accounts_are_updated_in_place(
    postgres: Postgres, ledger_template: str
) -> None:
    ledger = Ledger(postgres.create_database(template=ledger_template))
    accounts = [f"account-{n}" for n in range(8)]
    async with ledger.engine(EngineSettings(batch_max=20)) as engine:
        await fill(engine, *accounts, credits=1_000_000)

        async def pair(number: int) -> None:
            name = held(await engine.authorize(leads(f"r-{number}", accounts[number % 8])))
            if number % 4 == 0:
                await engine.extend(Extend(name, HOUR_US))
            await engine.commit(Commit(name, http_status=200))

        for start in range(0, PAIRS, 50):
            await asyncio.gather(*[pair(number) for number in range(start, start + 50)])

    # A backend reports what it has counted when it ends, which the engine's have.
    assert wait_until(lambda: updates(ledger, "reservation")[0] >= PAIRS + EXTENSIONS, timeout_s=20)
    for table in ("reservation", "account"):
        updated, in_place = updates(ledger, table)
        assert in_place / updated > 0.9, f"{table}: {in_place} of {updated}"
    postgres.drop_database(ledger.url)


def updates(ledger: Ledger, table: str) -> tuple[int, int]:
    updated, in_place = ledger.rows(UPDATES, table=table)[0]
    return int(updated or 0), int(in_place or 0)
