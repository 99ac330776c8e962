"""The keys of accounts that a server remembers: a full memory forgets, but never mistakes."""

import pytest

from tests.support.ledgers import Ledger, fill, held, leads
from tollkeeper.engine.ports import Needs
from tollkeeper.storage.lane import postgres_batch, sqlite_lane
from tollkeeper.storage.store import open_store


async def test_accounts_are_found_when_the_memory_of_their_keys_overflows(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(ledger_url)
    monkeypatch.setattr(postgres_batch if ledger.on_postgres else sqlite_lane, "_KEYS_MAX", 2)
    names = {"a", "b", "c", "d"}
    async with ledger.engine() as engine:
        await fill(engine, *names)
        for name in sorted(names):
            held(await engine.authorize(leads("r", name)))
    store = open_store(ledger.url)
    lane = store.lane()

    for known in ({"a", "b", "c"}, names, {"d", "nobody"}, names | {"nobody"}):
        with lane.batch() as batch:
            assert batch.load(Needs(account_ids=known)).keys.keys() == known & names

    lane.close()
    store.close()
