"""What verify knows of HTTP statuses, in SQL, is what the core knows."""

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import LedgerBuilder
from tollkeeper.core.outcome import classify
from tollkeeper.storage.verify_explained import EXPLAINED
from tollkeeper.storage.verify_reading import read_rows


@pytest.mark.parametrize("charge_on", [(), ("2xx",), ("2xx", "404"), ("201", "5xx"), ("1xx",)])
def test_verify_reads_every_status_as_the_core_does(
    engine: Engine, charge_on: tuple[str, ...]
) -> None:
    ledger = LedgerBuilder()
    held = ledger.hold(ledger.account(credits=10))
    for number, status in enumerate(range(100, 600), start=1_000):
        outcome = classify(status, charge_on)
        ledger.reservations[number] = held._replace(
            reservation_id=number,
            request_digest=number.to_bytes(16, "big"),
            charge_on=charge_on,
            outcome=outcome,
            http_status=status,
        )
    with engine.begin() as connection:
        ledger.save(connection)
        broken = EXPLAINED[1].broken

        assert list(read_rows(connection, broken)) == []
        connection.execute(text("UPDATE reservation SET outcome = outcome + 1"))
        assert len(list(read_rows(connection, broken))) == 500
