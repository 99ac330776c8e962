"""What verify knows of HTTP statuses, in SQL, is what the core knows."""

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import LedgerBuilder
from tollkeeper.core.outcome import Outcome, classify
from tollkeeper.storage.verify.explained import EXPLAINED
from tollkeeper.storage.verify.reading import read_rows

NOT_MODIFIED = 304


def settled(outcomes: dict[int, Outcome], charge_on: tuple[str, ...]) -> LedgerBuilder:
    """A ledger with a reservation for each HTTP status, which had this outcome."""
    ledger = LedgerBuilder()
    held = ledger.hold(ledger.account(credits=10))
    for number, (status, outcome) in enumerate(outcomes.items(), start=1_000):
        ledger.reservations[number] = held._replace(
            reservation_id=number,
            request_digest=number.to_bytes(16, "big"),
            charge_on=charge_on,
            outcome=outcome,
            http_status=status,
        )
    return ledger


@pytest.mark.parametrize(
    "charge_on", [(), ("2xx",), ("2xx", "404"), ("201", "5xx"), ("1xx",), ("3xx",), ("301",)]
)
def test_verify_reads_every_status_as_the_core_does(
    engine: Engine, charge_on: tuple[str, ...]
) -> None:
    ledger = settled({each: classify(each, charge_on) for each in range(100, 600)}, charge_on)
    with engine.begin() as connection:
        ledger.save(connection)
        broken = EXPLAINED[1].broken

        assert list(read_rows(connection, broken)) == []
        connection.execute(text("UPDATE reservation SET outcome = outcome + 1"))
        assert len(list(read_rows(connection, broken))) == 500


@pytest.mark.parametrize("charge_on", [(), ("2xx", "404")])
def test_what_a_redirect_was_by_the_rules_of_an_earlier_version_is_not_broken(
    engine: Engine, charge_on: tuple[str, ...]
) -> None:
    before = Outcome.BLOCKED if charge_on else Outcome.VALID_RESPONSE
    redirects = [status for status in range(300, 400) if status != NOT_MODIFIED]
    ledger = settled(dict.fromkeys(redirects, before), charge_on)
    with engine.begin() as connection:
        ledger.save(connection)
        broken = EXPLAINED[1].broken

        assert list(read_rows(connection, broken)) == []
        for wrong in set(Outcome) - {before, Outcome.REDIRECTED}:
            connection.execute(text("UPDATE reservation SET outcome = :wrong"), {"wrong": wrong})
            assert len(list(read_rows(connection, broken))) == len(redirects)
