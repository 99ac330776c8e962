"""Laws of refunds: in parts or at once is the same, and all of it puts everything back where it came from."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import LEADS, LedgerBuilder
from tollkeeper.core.grants import Grants
from tollkeeper.core.reservation import Reservation

PRICE = LEADS.credits


def two_charges(grants: list[int], credit_limit: int) -> tuple[LedgerBuilder, list[Reservation]]:
    """An account whose grants, and then its credit line, paid two charges."""
    ledger = LedgerBuilder()
    ledger.account("acme", credit_limit=credit_limit)
    for credits in grants:
        ledger.grant("acme", credits)
    return ledger, [ledger.commit(ledger.hold("acme")) for _ in range(2)]


def grants_after(grants: list[int], refunds: list[tuple[int, int]]) -> Grants:
    ledger, charges = two_charges(grants, 2 * PRICE)
    for index, credits in refunds:
        charges[index] = ledger.refund(charges[index], credits)
    return ledger.accounts["acme"].grants


purses = st.lists(st.integers(1, 9), min_size=1, max_size=6)
full_purses = st.lists(st.integers(4, 9), min_size=5, max_size=7)
"""Enough for both charges: what is owed would be repaid in between, in another order."""


@given(full_purses, st.integers(0, 1), st.integers(1, PRICE - 1))
def test_a_refund_in_two_parts_is_a_refund_at_once(
    grants: list[int], index: int, first: int
) -> None:
    in_parts = grants_after(grants, [(index, first), (index, PRICE - first)])

    assert in_parts == grants_after(grants, [(index, PRICE)])


@given(full_purses, st.integers(0, 1), st.integers(1, PRICE))
def test_a_refund_gives_each_grant_what_it_paid_the_last_first(
    grants: list[int], index: int, credits: int
) -> None:
    ledger, charges = two_charges(grants, 0)
    before = {grant.grant_id: grant for grant in ledger.accounts["acme"].grants}
    ledger.refund(charges[index], credits)
    after = {grant.grant_id: grant for grant in ledger.accounts["acme"].grants}

    left = credits
    for grant_id, paid in reversed(charges[index].slices):
        back = min(left, paid)
        left -= back
        assert after[grant_id].consumed == before[grant_id].consumed - back
        assert after[grant_id].remaining == before[grant_id].remaining + back


@given(purses, st.integers(0, 1), st.integers(1, PRICE))
def test_what_is_consumed_and_owed_is_what_was_charged(
    grants: list[int], index: int, credits: int
) -> None:
    ledger, charges = two_charges(grants, 2 * PRICE)
    ledger.refund(charges[index], credits)

    account = ledger.accounts["acme"]
    consumed = sum(grant.consumed for grant in account.grants)
    assert consumed + account.owed == account.charged == 2 * PRICE - credits


@given(purses)
def test_to_refund_everything_is_to_have_charged_nothing(grants: list[int]) -> None:
    refunded = grants_after(grants, [(1, PRICE), (0, PRICE)])

    assert [grant.remaining for grant in refunded] == grants
    assert [grant.consumed for grant in refunded] == [0] * len(grants)
