"""What was counted by the hour is counted by the quarter after a migration, as far as anything tells the quarter."""

from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, select, text

from tests.support.builders import LedgerBuilder, busy_ledger
from tollkeeper.storage.connections.engines import exclusive
from tollkeeper.storage.reader import SqlReader
from tollkeeper.storage.schema.usage_tables import PARTS_OF_AN_HOUR, usage_hour

QUARTERS = [name for part in PARTS_OF_AN_HOUR[1:] for name in part]
ORDER = ("account_key", "hour", "endpoint_id", "kind")
COLUMNS = (*ORDER, "requests", "credits", "moved_out", *QUARTERS)
DENIED = 40


def test_the_journal_and_the_reservations_tell_the_quarters_of_the_past(engine: Engine) -> None:
    ledger = busy_ledger()
    ledger.grant(ledger.account("late"), 100)
    for _ in range(4):
        held, other = ledger.hold("late"), ledger.hold("late")
        ledger.now_us += 20 * 60_000_000
        ledger.refund(ledger.commit(held), 3)
        ledger.release(other)
    save(engine, ledger)
    before = rows(engine)

    migrate_again(engine)

    after = rows(engine)
    assert [row[:7] for row in after] == [row[:7] for row in before]
    told = [row for row in before if row[3] < DENIED and not row[6]]
    assert [row for row in after if row[3] < DENIED and not row[6]] == told
    assert any(any(row[7:]) for row in told)
    reader = SqlReader(engine, clock=lambda: ledger.now_us)
    assert list(reader.verify(overdue_tolerance_us=10**12)) == []


def test_what_only_the_hour_is_known_of_stays_in_its_first_quarter(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    ledger.account("acme")
    ledger.now_us += 50 * 60_000_000
    ledger.deny("acme", times=3)
    save(engine, ledger)
    (before,) = rows(engine)

    migrate_again(engine)

    (after,) = rows(engine)
    assert before[-2:] == (3, 0)
    assert after[4] == 3
    assert not any(after[7:])


def save(engine: Engine, ledger: LedgerBuilder) -> None:
    with engine.begin() as connection:
        ledger.save(connection)


def rows(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        columns = [usage_hour.c[name] for name in COLUMNS]
        query = select(*columns).order_by(*(usage_hour.c[name] for name in ORDER))
        return [tuple(row) for row in connection.execute(query)]


def migrate_again(engine: Engine) -> None:
    """Take the ledger back to before it knew quarters, and bring it up to that version again."""
    with engine.begin() as connection:
        for name in QUARTERS:
            connection.execute(text(f"ALTER TABLE usage_hour DROP COLUMN {name}"))
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
    config = Config()
    config.set_main_option("script_location", "tollkeeper.storage.schema:migrations")
    with exclusive(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0012")
        connection.execute(
            text("UPDATE alembic_version SET version_num = :version"), {"version": version}
        )
