"""Sequences that the machine has found once, kept as they are short: the ledger and the model agree on them."""

from collections.abc import Generator

import pytest

from tests.properties import calls
from tests.properties.calls import Call, Seen
from tests.properties.twins import BEGIN_US, Twins

DAY_US = 24 * calls.HOUR_US


@pytest.fixture
def twins(ledger_url: str) -> Generator[Twins]:
    """A ledger and a model with the machine's prices and one account, which has a credit line of 100."""
    twins = Twins(ledger_url, lanes=1)
    seen = Seen(BEGIN_US)
    twins.ask(calls.Publish(calls.PAGE, "free", None, "", None).call(seen))
    twins.ask(calls.CreateAccount("acme", 100, "", None, []).call(seen))
    yield twins
    twins.close()


def charge(twins: Twins) -> None:
    """Charge 5."""
    asked = {"account_id": "acme", "method": "GET", "path": "/v1/strict", "caller": ""}
    held = twins.ask(
        Call("authorize", {**asked, "request_id": "r", "hold_us": None, "dry_run": False})
    )
    twins.ask(
        Call(
            "commit",
            {
                "reservation_id": held["reservation_id"],
                "http_status": 200,
                "outcome": None,
                "caller": "",
            },
        )
    )


def test_a_period_that_is_over_has_repaid_what_was_owed_when_it_began(twins: Twins) -> None:
    charge(twins)
    plan = calls.CreateRecurring("acme", 10, "WEEK", DAY_US, "UTC", 5, 0, None, "", 1)
    twins.ask(plan.call(Seen(BEGIN_US)))

    twins.clock.now_us += 17 * DAY_US

    twins.check_reads(0)
    twins.sweep()
    twins.check_rows()
    twins.check_invariants()
