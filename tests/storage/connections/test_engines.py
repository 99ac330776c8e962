"""A snapshot sees one instant and cannot write; a URL that cannot be a ledger's is refused."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import write_ahead
from tests.support.postgres import Postgres
from tollkeeper.engine.ports import StoreError
from tollkeeper.storage.connections.engines import create_cold_engine, now_us, snapshot
from tollkeeper.storage.connections.urls import parse_url

ENDPOINTS = text("SELECT count(*) FROM endpoint")


def test_a_snapshot_does_not_see_what_is_written_after_it(engine: Engine) -> None:
    write_ahead(engine)

    with snapshot(engine) as connection:
        add_endpoint(engine, 2)
        before = connection.execute(ENDPOINTS).scalar_one()
        add_endpoint(engine, 3)
        after = connection.execute(ENDPOINTS).scalar_one()

    assert (before, after) == (1, 1)
    with snapshot(engine) as connection:
        assert connection.execute(ENDPOINTS).scalar_one() == 3


@pytest.mark.postgres
def test_a_snapshot_on_postgres_cannot_write(postgres: Postgres, ledger_template: str) -> None:
    engine = create_cold_engine(postgres.create_database(template=ledger_template))

    with pytest.raises(StoreError, match="read-only"), snapshot(engine) as connection:
        connection.execute(text("INSERT INTO endpoint VALUES (9, 'GET', '/')"))

    engine.dispose()


def test_many_threads_may_read_at_once(module_engine: Engine) -> None:
    def read(_: int) -> int:
        with snapshot(module_engine) as connection:
            return connection.execute(ENDPOINTS).scalar_one()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(read, range(64))) == {1}


def test_a_connection_is_itself_again_after_a_snapshot(engine: Engine) -> None:
    for number in range(2, 6):
        with snapshot(engine) as connection:
            connection.execute(ENDPOINTS)
        add_endpoint(engine, number)

    with snapshot(engine) as connection:
        assert connection.execute(ENDPOINTS).scalar_one() == 5


def test_the_stores_clock_tells_microseconds(module_engine: Engine) -> None:
    with snapshot(module_engine) as connection:
        before = time.time_ns() // 1_000
        told = now_us(connection)
        after = time.time_ns() // 1_000

        assert before <= told <= after
        assert now_us(connection, lambda: 7) == 7


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ledger.db", "not a database URL"),
        ("mysql://root@localhost/ledger", "mysql is not supported"),
        ("postgresql+asyncpg://localhost/ledger", "postgresql[+]asyncpg is not supported"),
        ("sqlite+aiosqlite:///ledger.db", "sqlite[+]aiosqlite is not supported"),
        ("sqlite://", "is a file"),
        ("sqlite:///:memory:", "is a file"),
        ("sqlite:///file:ledger?uri=true", "is a file"),
    ],
)
def test_a_url_that_cannot_be_a_ledgers_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_cold_engine(url)


def test_a_refusal_does_not_tell_the_password() -> None:
    with pytest.raises(ValueError, match="not supported") as refused:
        parse_url("mysql://root:secret@localhost/ledger")

    assert "secret" not in str(refused.value)


def test_a_file_of_a_strange_name_is_a_ledger(tmp_path: Path) -> None:
    engine = create_cold_engine(f"sqlite:///{tmp_path / 'my 50% ledger'}")

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE endpoint (a)"))

    assert (tmp_path / "my 50% ledger").stat().st_size > 0
    engine.dispose()


def add_endpoint(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO endpoint VALUES (:number, 'GET', :path)"),
            {"number": number, "path": f"/{number}"},
        )
