"""The worked example of docs/plans.md is what the core does."""

import pytest

from tests.repo.documents import section, table, text_of
from tests.support.builders import DAY_US, NEW_YEAR_US, LedgerBuilder
from tollkeeper.core.account import do_what_is_due
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.core.recurring.periods import RecurringPeriod

NOVEMBER_US = NEW_YEAR_US + 304 * DAY_US
THOUSAND = Price("GET", "/v1/export", 1_000, endpoint_id=4)


def numbers(row: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in row]


def example() -> list[list[int]]:
    return [numbers(row) for row in table(section(text_of("docs/plans.md"), "An example"))]


def test_the_example_has_an_upgrade_a_downgrade_and_an_equal_plan() -> None:
    credits = [row[1] for row in example()]

    assert max(credits) > 10_000 > min(credits)
    assert 10_000 in credits


@pytest.mark.parametrize("row", example(), ids=str)
def test_the_example_of_a_plan_that_is_replaced_is_what_happens(row: list[int]) -> None:
    used, credits, taken_back, given, available, in_december = row
    ledger = LedgerBuilder(now_us=NOVEMBER_US)
    ledger.publish(THOUSAND)
    ledger.account("acme")
    ledger.recurring("acme", 10_000, period=RecurringPeriod.MONTH)
    ledger.charge("acme", THOUSAND, times=used // 1_000)
    ledger.now_us += 15 * DAY_US

    replaced = ledger.replace_recurring("acme", 1, credits)

    assert (replaced.voided, replaced.given) == (taken_back, given)
    assert ledger.accounts["acme"].available == available
    december, _ = do_what_is_due(ledger.accounts["acme"], NOVEMBER_US + 30 * DAY_US)
    assert december.available == in_december
