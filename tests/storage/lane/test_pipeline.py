"""Statements that are sent together: their answers, their errors, and the connection afterwards."""

from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from psycopg import errors, pq
from sqlalchemy import make_url

from tests.support.postgres import Postgres
from tollkeeper.storage.lane.pipeline import Pipeline, Statements

ONE = b"SELECT %s::bigint, %s::text"
PREPARED = b"SELECT count(*) FROM pg_prepared_statements"

pytestmark = pytest.mark.postgres


@pytest.fixture(params=[0, None], ids=["prepared", "not prepared"])
def driver(
    postgres: Postgres, request: pytest.FixtureRequest
) -> Generator[psycopg.Connection[Any]]:
    url = make_url(postgres.create_database()).set(drivername="postgresql")
    text = url.render_as_string(hide_password=False)
    with psycopg.connect(text, prepare_threshold=request.param) as driver:
        driver.execute("CREATE TABLE note (number bigint PRIMARY KEY, text text)")
        driver.commit()
        yield driver


@pytest.fixture
def statements(driver: psycopg.Connection[Any]) -> Statements:
    return Statements(driver)


def send(driver: psycopg.Connection[Any], statements: Statements, *sent: bytes) -> None:
    with Pipeline(driver, statements) as pipeline:
        for each in sent:
            pipeline.execute(each)


def status(driver: psycopg.Connection[Any]) -> pq.TransactionStatus:
    return pq.TransactionStatus(driver.pgconn.transaction_status)


def test_every_statement_has_its_own_answer(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    for turn in range(3):
        with Pipeline(driver, statements) as pipeline:
            answers = [pipeline.execute(ONE, (turn + n, f"é-{n}")) for n in range(5)]
            none = pipeline.execute(b"SELECT 1 WHERE false")
            pipeline.command(b"COMMIT")

        assert [each.fetchall() for each in answers] == [[(turn + n, f"é-{n}")] for n in range(5)]
        assert (none.fetchone(), none.fetchall()) == (None, [])
        assert status(driver) is pq.TransactionStatus.IDLE


def test_a_transaction_goes_on_over_pipelines_and_the_drivers_own_statements(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    with Pipeline(driver, statements) as pipeline:
        pipeline.execute(b"INSERT INTO note VALUES (%s::bigint, %s::text)", (1, "a"))
    driver.execute("INSERT INTO note VALUES (2, 'b')")
    with Pipeline(driver, statements) as pipeline:
        found = pipeline.execute(b"SELECT count(*) FROM note")
        pipeline.command(b"ROLLBACK")

    assert found.fetchone() == (2,)
    assert driver.execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_an_answer_can_be_asked_for_before_the_end(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    with Pipeline(driver, statements) as pipeline:
        first = pipeline.execute(ONE, (1, "a")).fetchone()
        second = pipeline.execute(ONE, (2, "b"))

    assert (first, second.fetchone()) == ((1, "a"), (2, "b"))


def test_the_first_error_is_raised_and_nothing_after_it_is_carried_out(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    inserted = b"INSERT INTO note VALUES (1, 'a')"

    with pytest.raises(errors.DivisionByZero):
        send(driver, statements, inserted, b"SELECT 1 / 0", b"SELEKT", b"COMMIT")

    assert status(driver) is pq.TransactionStatus.INERROR
    driver.rollback()
    assert driver.execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_after_an_error_and_a_rollback_all_is_prepared_anew(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    for _ in range(3):
        with pytest.raises(errors.SyntaxError):
            send(driver, statements, b"SELECT 1::bigint", b"SELEKT", b"SELECT 2::bigint")
        driver.rollback()
        statements.forget(driver)
        assert driver.execute(PREPARED, prepare=False).fetchone() == (0,)

        with Pipeline(driver, statements) as pipeline:
            again = pipeline.execute(b"SELECT 1::bigint")
            never = pipeline.execute(b"SELECT 2::bigint")
            pipeline.command(b"COMMIT")
        assert (again.fetchone(), never.fetchone()) == ((1,), (2,))


def test_what_a_caller_raises_passes_and_ends_the_pipeline(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    def raise_within() -> None:
        with Pipeline(driver, statements) as pipeline:
            pipeline.execute(ONE, (1, "a"))
            raise KeyError

    with pytest.raises(KeyError):
        raise_within()

    assert driver.pgconn.pipeline_status == pq.PipelineStatus.OFF
    driver.rollback()
    assert driver.execute("SELECT 1").fetchone() == (1,)


def test_much_can_go_both_ways_at_once(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    """Neither side may wait for the other to read first."""
    long = "x" * 4_000_000
    with Pipeline(driver, statements) as pipeline:
        answers = [pipeline.execute(ONE, (n, long)) for n in range(10)]
        pipeline.send()

    assert [each.fetchone() for each in answers] == [(n, long) for n in range(10)]


def test_a_connection_that_is_lost_is_an_operational_error(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    with pytest.raises(psycopg.OperationalError):
        send(driver, statements, b"SELECT pg_terminate_backend(pg_backend_pid())", b"SELECT 1")

    assert driver.pgconn.status == pq.ConnStatus.BAD


def test_as_many_answers_as_statements_behind_a_statement_that_is_prepared_late(
    driver: psycopg.Connection[Any], statements: Statements
) -> None:
    with Pipeline(driver, statements) as pipeline:
        first = pipeline.execute(ONE, (1, "a"))
        pipeline.execute(b"CREATE TEMP TABLE late (number bigint)")
        late = pipeline.execute(b"SELECT count(*) FROM late")
        pipeline.command(b"COMMIT")

    assert (first.fetchone(), late.fetchone()) == ((1, "a"), (0,))
