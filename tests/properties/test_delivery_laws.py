"""Every event arrives at each of its webhooks, whatever receivers and servers do, and nothing else does."""

import asyncio
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.deliveries import ACCOUNTS, Deliveries, Mode, Step
from tests.support.ledgers import SQLITE, Ledger, fill, new_ledger
from tests.support.postgres import Postgres
from tests.support.thorough import thorough

TIMEOUT_S = 7_200

numbers = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.builds(Step, st.just("events"), st.integers(1, 6)),
        st.builds(Step, st.just("turn"), numbers),
        st.builds(Step, st.just("turn"), numbers),
        st.builds(Step, st.just("turn"), numbers),
        st.builds(Step, st.just("wait"), st.sampled_from([1, 5, 20, 30])),
        st.builds(Step, st.just("mode"), numbers, st.sampled_from(Mode)),
        st.builds(Step, st.just("mode"), numbers, st.sampled_from([m for m in Mode if m.hangs])),
        st.builds(Step, st.just("answer"), numbers),
        st.builds(Step, st.sampled_from(["crash", "pause", "resume", "retry"]), numbers),
    ),
    min_size=10,
    max_size=40,
)


@thorough
@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_every_event_arrives_on_sqlite(tmp_path: Path) -> None:
    empty, used = tmp_path / "empty.db", tmp_path / "used"
    prepare(new_ledger(f"{SQLITE}{empty}"))

    @settings(max_examples=share(0.5))
    @given(steps=STEPS)
    def arrives(steps: list[Step]) -> None:
        used.mkdir()
        shutil.copy(empty, used / "ledger.db")
        try:
            asyncio.run(run(Ledger(f"{SQLITE}{used / 'ledger.db'}"), steps))
        finally:
            shutil.rmtree(used)

    arrives()


@thorough
@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(TIMEOUT_S)
def test_every_event_arrives_on_postgres(postgres: Postgres, ledger_template: str) -> None:
    empty = postgres.create_database(template=ledger_template)
    prepare(Ledger(empty))

    @settings(max_examples=share(0.2))
    @given(steps=STEPS)
    def arrives(steps: list[Step]) -> None:
        url = postgres.create_database(template=empty)
        try:
            asyncio.run(run(Ledger(url), steps))
        finally:
            postgres.drop_database(url)

    arrives()


def prepare(ledger: Ledger) -> None:
    """Give an empty ledger the accounts."""

    async def open_accounts() -> None:
        async with ledger.engine() as engine:
            await fill(engine, *ACCOUNTS)

    asyncio.run(open_accounts())


async def run(ledger: Ledger, steps: list[Step]) -> None:
    deliveries = Deliveries(ledger)
    try:
        await deliveries.run(steps)
    finally:
        await deliveries.close()


def share(part: float) -> int:
    profile = settings.default or settings()
    return int(profile.max_examples * part) or 1
