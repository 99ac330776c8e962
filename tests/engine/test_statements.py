"""A statement that is read while the ledger is written to: no entry is missed, none comes twice."""

import asyncio

from tests.support.ledgers import ACCOUNT, Ledger, fill, held, leads
from tollkeeper.core.commands import Commit, ListEntries
from tollkeeper.engine.engine import Engine

CHARGES = 120
PAGE_SIZE = 3


async def test_pages_that_are_read_while_entries_are_written_neither_miss_nor_repeat(
    ledger: Ledger,
) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=CHARGES * 10)
        writing = asyncio.create_task(charge(engine))
        seen: list[int] = []
        after = 0
        while after or not writing.done() or len(seen) < CHARGES + 1:
            last = seen[-1] if seen else 0
            page = await engine.entries(ListEntries(ACCOUNT, PAGE_SIZE, after or last))
            seen += [each.entry.sequence for each in page.entries]
            after = page.next_after
        await writing

    assert seen == [*range(1, CHARGES + 2)]


async def charge(engine: Engine) -> None:
    """Hold and commit, several side by side."""

    async def one(number: int) -> None:
        name = held(await engine.authorize(leads(f"r-{number}")))
        await engine.commit(Commit(name, 200))

    for number in range(0, CHARGES, 4):
        await asyncio.gather(*[one(number + each) for each in range(4)])
