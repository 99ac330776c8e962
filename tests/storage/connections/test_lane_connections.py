"""What a lane's connection must have is looked at after connecting, and refused by name where it is not so."""

import logging
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from tests.cli.processes import serving, tollkeeper
from tests.support.ledgers import POOLED, Ledger
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Postgres, database_name
from tests.support.thorough import thorough
from tollkeeper.engine.ports import UnavailableError
from tollkeeper.storage.lane.postgres_lane import PostgresLane
from tollkeeper.storage.store import SqlStore, open_store

pytestmark = pytest.mark.postgres

IGNORES_OPTIONS = "ignore_startup_parameters = options"


@pytest.fixture
def ledger(postgres: Postgres, ledger_template: str) -> Generator[Ledger]:
    url = postgres.create_database(template=ledger_template)
    yield Ledger(url)
    postgres.drop_database(url)


def check(url: str) -> None:
    store = open_store(url)
    try:
        store.check()
    finally:
        store.close()


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "unsupported startup parameter: options"),
        (IGNORES_OPTIONS, "synchronous_commit=off [(]not on[)].*lock_timeout=0 [(]not 2000[)]"),
    ],
)
def test_a_pooler_that_nobody_told_us_of_is_refused_and_what_to_write_is_said(
    ledger: Ledger, mode: str, more: str, words: str
) -> None:
    name = database_name(ledger.url)
    ledger.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pgbouncer(ledger.url, mode=mode, more=more) as url:
        with pytest.raises(UnavailableError, match=words) as refused:
            check(url)
        check(f"{url}{POOLED}")

    assert "add ?pooler=transaction to the database's URL" in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "bad"),
    [("session_replication_role", "replica"), ("default_transaction_read_only", "on")],
)
@pytest.mark.parametrize("pooled", [False, True])
def test_a_session_that_would_break_the_ledger_is_refused_by_name(
    ledger: Ledger, pooled: bool, setting: str, bad: str
) -> None:
    """The first would switch the triggers off that keep the journal as it is."""
    ledger.execute(f"ALTER DATABASE {database_name(ledger.url)} SET {setting} = '{bad}'")

    with pytest.raises(UnavailableError, match=f"{setting.removeprefix('default_')}={bad} [(]not"):
        check(ledger.url + POOLED * pooled)


def test_each_transaction_behind_a_pooler_has_the_settings_of_a_lane(ledger: Ledger) -> None:
    name = database_name(ledger.url)
    for setting, bad in (
        ("synchronous_commit", "off"),
        ("default_transaction_isolation", "'repeatable read'"),
        ("lock_timeout", "0"),
    ):
        ledger.execute(f"ALTER DATABASE {name} SET {setting} = {bad}")
    with pgbouncer(ledger.url, pool_size=2) as url:
        store: SqlStore = open_store(f"{url}{POOLED}")
        lane = store.lane()
        assert isinstance(lane, PostgresLane)
        with psycopg.connect(url.replace("+psycopg", "")) as other:
            for _ in range(4):
                other.execute("SELECT 1")  # holds a session, so that the lane gets another
                with lane._transaction() as (_, driver):  # pyright: ignore[reportPrivateUsage]
                    for setting, wanted in (
                        ("synchronous_commit", "on"),
                        ("transaction_isolation", "read committed"),
                        ("lock_timeout", "2s"),
                        ("statement_timeout", "9s"),
                    ):
                        found = driver.execute(f"SHOW {setting}".encode()).fetchone()
                        assert found == (wanted,)
                    assert driver.execute("SELECT * FROM pg_prepared_statements").fetchall() == []
                    driver.commit()
                other.rollback()
        lane.close()
        store.close()


def test_a_server_that_does_not_write_to_disk_is_warned_of(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check(ledger.url)

    assert "fsync=off: a crash of its machine can lose what was acknowledged" in caplog.text


@thorough
def test_serve_says_it_once_and_plainly_and_serves_where_it_is_told_of_the_pooler(
    ledger: Ledger, tmp_path: Path
) -> None:
    with pgbouncer(ledger.url, more=IGNORES_OPTIONS) as url:
        refused = tollkeeper("serve", "--listen", "127.0.0.1:0", "--database", url)
        assert refused.code == 1
        assert "synchronous_commit" not in refused.err  # that is as it has to be here
        assert "enable_seqscan=on (not off)" in refused.err
        assert refused.err.count("add ?pooler=transaction to the database's URL") == 1
        assert "Traceback" not in refused.err

        pooled = f"{url}{POOLED}"
        assert tollkeeper("migrate", "--check", "--database", pooled).code == 0
        with serving(tmp_path, "--workers", "2", database=pooled) as server:
            server.json("account", "create", "acme")
            server.json("grant", "acme", "500")
            assert server.stop().code == 0
        assert tollkeeper("verify", "--database", pooled).code == 0
