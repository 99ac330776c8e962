"""Sequences that the machine has found once, kept as they are short: the ledger and the model agree on them."""

from collections.abc import Generator

import pytest

from tests.properties import calls
from tests.properties.calls import Call, Seen
from tests.properties.side_by_side import BEGIN_US, EngineAndModel

DAY_US = 24 * calls.HOUR_US


@pytest.fixture
def both(ledger_url: str) -> Generator[EngineAndModel]:
    """A ledger and a model with the machine's prices and one account, which has a credit line of 100."""
    both = EngineAndModel(ledger_url, lanes=1)
    seen = Seen(BEGIN_US)
    both.ask(calls.Publish(calls.PAGE, "free", None, "", None).call(seen))
    both.ask(calls.CreateAccount("acme", 100, "", None, []).call(seen))
    yield both
    both.close()


def charge(both: EngineAndModel) -> None:
    """Charge 5."""
    asked = {"account_id": "acme", "method": "GET", "path": "/v1/strict", "caller": ""}
    held = both.ask(
        Call("authorize", {**asked, "request_id": "r", "hold_us": None, "dry_run": False})
    )
    both.ask(
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


def test_a_period_that_is_over_has_repaid_what_was_owed_when_it_began(both: EngineAndModel) -> None:
    charge(both)
    plan = calls.CreateRecurring("acme", 10, "WEEK", DAY_US, "UTC", 5, 0, None, "", 1)
    both.ask(plan.call(Seen(BEGIN_US)))

    both.clock.now_us += 17 * DAY_US

    both.check_reads(0)
    both.sweep()
    both.check_rows()
    both.check_invariants()
