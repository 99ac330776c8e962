"""Taking credits back that may have been spent: the rules of docs/reference/rules.md, one by one."""

import pytest

from tests.support.builders import DAY_US, HALF, LOW, TRACK, LedgerBuilder
from tollkeeper.core.account import AccountState
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.credits import BALANCE_MAX, GRANT_MAX
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.journal import EntryKind


@pytest.fixture
def ledger() -> LedgerBuilder:
    """An account with 100 credits."""
    ledger = LedgerBuilder()
    ledger.publish()
    ledger.account("acme", credits=100)
    return ledger


def told(ledger: LedgerBuilder) -> list[tuple[int, int, int, int]]:
    """The journal: kinds, credits, balances, and the grants that are named."""
    return [(row[3], row[4], row[5], row[8]) for row in ledger.entries]


def test_what_remains_is_taken_in_burn_order_and_no_grant_is_named(ledger: LedgerBuilder) -> None:
    ledger.grant("acme", 50, priority=1)

    ledger.debit("acme", 120)

    account = ledger.accounts["acme"]
    assert (account.settled, account.owed, account.charged) == (30, 0, 0)
    assert [(each.remaining, each.consumed) for each in account.grants] == [(0, 100), (30, 20)]
    assert told(ledger)[-1] == (EntryKind.DEBIT, -120, 30, 0)


def test_what_was_spent_already_is_owed_and_the_next_grant_repays_it(ledger: LedgerBuilder) -> None:
    ledger.charge("acme", TRACK)

    ledger.debit("acme", 100)

    owing = ledger.accounts["acme"]
    assert (owing.settled, owing.owed, owing.available) == (-75, 75, -75)
    ledger.grant("acme", 100)
    account = ledger.accounts["acme"]
    assert (account.settled, account.owed) == (25, 0)
    assert [(each.remaining, each.consumed) for each in account.grants] == [(0, 100), (25, 75)]


def test_what_is_held_stays_held_and_is_repaid_from_when_it_comes_back(
    ledger: LedgerBuilder,
) -> None:
    held = ledger.hold("acme", TRACK)

    ledger.debit("acme", 100)

    assert (ledger.accounts["acme"].held, ledger.accounts["acme"].owed) == (75, 75)
    ledger.release(held)
    account = ledger.accounts["acme"]
    assert (account.settled, account.held, account.owed) == (0, 0, 0)
    assert account.grants[0].consumed == 100


def test_it_may_go_below_the_credit_limit(ledger: LedgerBuilder) -> None:
    ledger.update("acme", credit_limit=10)

    ledger.debit("acme", 500)

    assert ledger.accounts["acme"].available == -390


def test_a_grant_that_is_due_expires_before_it(ledger: LedgerBuilder) -> None:
    ledger.grant("acme", 40, expires_us=ledger.now_us + DAY_US)
    ledger.now_us += DAY_US

    ledger.debit("acme", 100)

    assert [row[:2] for row in told(ledger)[-2:]] == [
        (EntryKind.GRANT_EXPIRED, -40),
        (EntryKind.DEBIT, -100),
    ]
    assert ledger.accounts["acme"].settled == 0


@pytest.mark.parametrize("state", [AccountState.BLOCKED, AccountState.CLOSED])
def test_blocked_and_closed_accounts_are_debited_and_stay_so(
    ledger: LedgerBuilder, state: AccountState
) -> None:
    """A charge-back comes weeks after the customer has gone."""
    ledger.debit("acme", 100)
    ledger.update("acme", state=state)

    ledger.debit("acme", 30)

    account = ledger.accounts["acme"]
    assert (account.state, account.settled, account.owed) == (state, -30, 30)
    ledger.grant("acme", 30)
    assert (ledger.accounts["acme"].settled, ledger.accounts["acme"].owed) == (0, 0)


def test_an_account_that_owes_is_not_closed(ledger: LedgerBuilder) -> None:
    ledger.debit("acme", 130)

    with pytest.raises(Refused) as refused:
        ledger.update("acme", state=AccountState.CLOSED)

    assert refused.value.reason is Reason.ACCOUNT_NOT_EMPTY


def test_the_balance_is_bounded_below(ledger: LedgerBuilder) -> None:
    lowest = ledger.accounts["acme"]._replace(settled=GRANT_MAX - BALANCE_MAX, grants=())
    ledger.accounts["acme"] = lowest
    ledger.debit("acme", GRANT_MAX)
    assert ledger.accounts["acme"].settled == -BALANCE_MAX

    with pytest.raises(Refused, match="credits: would lead to a balance under") as refused:
        ledger.debit("acme", 1)

    assert refused.value.reason is Reason.INVALID_FIELD


def test_a_refund_after_it_repays_what_is_owed_first(ledger: LedgerBuilder) -> None:
    charged = ledger.commit(ledger.hold("acme", TRACK))
    ledger.debit("acme", 100)

    ledger.refund(charged, 75)

    account = ledger.accounts["acme"]
    assert (account.settled, account.owed, account.charged) == (0, 0, 0)
    assert account.grants[0].consumed == 100


def test_a_rule_of_what_remains_sees_it_and_one_of_what_is_consumed_does_not(
    ledger: LedgerBuilder,
) -> None:
    ledger.update("acme", alerts=(LOW, HALF))

    ledger.debit("acme", 90)

    assert [state.fired for state in ledger.accounts["acme"].alerts] == [True, False]
    assert LOW.subject is AlertSubject.REMAINING
