"""Opening a ledger: what the URL says holds for every connection."""

import pytest

from tests.support.ledgers import COMMITTED, Ledger, fill, held, leads, new_ledger
from tests.support.postgres import Postgres, database_name
from tollkeeper.core.commands import Commit
from tollkeeper.storage.lane.postgres_lane import PostgresLane
from tollkeeper.storage.store import open_store


@pytest.mark.postgres
async def test_the_options_of_a_url_hold_for_lanes_too(
    postgres: Postgres, ledger_template: str
) -> None:
    """Such as the schema that the tables are in."""
    plain = Ledger(postgres.create_database(template=ledger_template))
    plain.execute("CREATE SCHEMA elsewhere")
    ledger = new_ledger(f"{plain.url}?options=-csearch_path%3Delsewhere")

    async with ledger.engine() as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r")))
        await engine.commit(Commit(name, http_status=200))
        assert (await engine.account("acme")).balance.settled == 490

    assert plain.number("SELECT count(*) FROM public.account") == 0
    assert ledger.states() == {COMMITTED: 1}
    assert ledger.findings() == []


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("setting", "bad", "good"),
    [
        ("synchronous_commit", "off", "on"),
        ("default_transaction_isolation", "serializable", "read committed"),
        ("lock_timeout", "0", "2s"),
    ],
)
def test_a_lane_has_the_settings_it_relies_on_whatever_the_database_has(
    postgres: Postgres, setting: str, bad: str, good: str
) -> None:
    url = postgres.create_database()
    Ledger(url).execute(f"ALTER DATABASE {database_name(url)} SET {setting} = '{bad}'")

    for given in (url, f"{url}?options=-c{setting}%3D{bad}"):
        store = open_store(given)
        lane = store.lane()
        assert isinstance(lane, PostgresLane)
        with lane._transaction() as (_, driver):  # pyright: ignore[reportPrivateUsage]
            found = driver.execute(f"SHOW {setting}".encode()).fetchone()
            driver.rollback()
        assert found == (good,)
        lane.close()
        store.close()
