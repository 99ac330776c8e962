"""What recurring grants give, and when: the rules of docs/rules.md, one by one."""

from typing import Any

import pytest

from tests.support.builders import DAY_US, NEW_YEAR_US, TRACK, LedgerBuilder
from tollkeeper.core.account import Account, AccountState, do_what_is_due
from tollkeeper.core.credits import BALANCE_MAX
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import (
    NUMBER_MAX,
    RECURRING_MAX,
    Origin,
    id_of,
    origin_of,
)

MONTH_US = 31 * DAY_US
"""January, where every ledger here begins."""
REGULAR, ROLLED = id_of(Origin(1, 1, rolled_over=False)), id_of(Origin(1, 1, rolled_over=True))


@pytest.fixture
def ledger() -> LedgerBuilder:
    """An account without credits, on the first of January."""
    ledger = LedgerBuilder()
    ledger.publish()
    ledger.account("acme")
    return ledger


def give(ledger: LedgerBuilder, credits: int = 100, **more: Any) -> int:
    return ledger.recurring("acme", credits, **{"period": RecurringPeriod.MONTH, **more})


def later(ledger: LedgerBuilder, by_us: int) -> Account:
    """Let time go by, and look at the account as a read does."""
    ledger.now_us += by_us
    return do_what_is_due(ledger.accounts["acme"], ledger.now_us)[0]


def told(ledger: LedgerBuilder) -> list[tuple[int, int]]:
    """The journal: kinds and credits."""
    ledger.do_due("acme")
    return [(row[3], row[4]) for row in ledger.entries]


def test_the_period_that_contains_the_creation_is_granted_in_full(ledger: LedgerBuilder) -> None:
    give(ledger, anchor_us=NEW_YEAR_US - 10 * DAY_US)

    account = ledger.accounts["acme"]
    (grant,) = account.grants

    assert (account.settled, grant.remaining, grant.note) == (100, 100, "a plan")
    assert grant.created_us == NEW_YEAR_US
    assert grant.expires_us == account.recurring[0].next_us == NEW_YEAR_US + 21 * DAY_US


def test_an_anchor_to_come_is_the_beginning_of_the_first_period(ledger: LedgerBuilder) -> None:
    give(ledger, anchor_us=NEW_YEAR_US + DAY_US)

    assert later(ledger, DAY_US - 1).settled == 0
    account = later(ledger, 1)
    assert (account.settled, account.grants[0].created_us) == (100, NEW_YEAR_US + DAY_US)


def test_at_a_boundary_the_rest_expires_and_the_next_period_is_granted(
    ledger: LedgerBuilder,
) -> None:
    give(ledger)
    ledger.charge("acme")

    assert later(ledger, MONTH_US - 1).settled == 90
    account = later(ledger, 1)

    assert account.settled == 100
    assert [(each.remaining, each.expired) for each in account.grants] == [(0, 90), (100, 0)]
    assert told(ledger) == [(1, 100), (2, -10), (5, -90), (1, 100)]


def test_periods_that_nobody_saw_are_each_granted_and_expired_in_the_order_of_time(
    ledger: LedgerBuilder,
) -> None:
    give(ledger, 100, period=RecurringPeriod.DAY)
    ledger.grant("acme", 7, expires_us=NEW_YEAR_US + DAY_US + 1)

    later(ledger, 3 * DAY_US)

    assert told(ledger) == [
        (1, 100),
        (1, 7),
        (5, -100),
        (1, 100),
        (5, -7),
        (5, -100),
        (1, 100),
        (5, -100),
        (1, 100),
    ]
    assert {row[6] for row in ledger.entries[2:]} == {ledger.now_us}
    assert [row[5] for row in ledger.entries][-3:] == [100, 0, 100]
    created = [each.created_us - NEW_YEAR_US for each in ledger.accounts["acme"].grants]
    assert created == [0, 0, DAY_US, 2 * DAY_US, 3 * DAY_US]


@pytest.mark.parametrize(
    ("most", "used", "rolled"),
    [(0, 0, 0), (30, 0, 30), (30, 80, 20), (1_000, 50, 50), (30, 100, 0)],
)
def test_what_is_left_rolls_over_up_to_the_cap(
    ledger: LedgerBuilder, most: int, used: int, rolled: int
) -> None:
    give(ledger, rollover_max=most)
    ledger.charge("acme", times=used // 10)

    account = later(ledger, MONTH_US)

    assert account.settled == 100 + rolled
    made = {each.grant_id: each for each in account.grants if each.remaining}
    assert made[REGULAR].remaining == 100
    assert (made[ROLLED].credits if rolled else 0) == rolled
    assert {each.expires_us for each in made.values()} == {NEW_YEAR_US + 59 * DAY_US}


def test_what_rolled_over_may_roll_again_under_the_same_cap(ledger: LedgerBuilder) -> None:
    give(ledger, rollover_max=150)
    later(ledger, MONTH_US)
    ledger.do_due("acme")
    assert ledger.accounts["acme"].settled == 200

    account = later(ledger, 28 * DAY_US)

    assert account.settled == 250


def test_what_rolled_over_is_consumed_first(ledger: LedgerBuilder) -> None:
    give(ledger, rollover_max=150)
    later(ledger, MONTH_US)

    ledger.charge("acme")

    left = {each.grant_id: each.remaining for each in ledger.accounts["acme"].grants}
    assert (left[ROLLED], left[REGULAR]) == (90, 100)


def test_what_is_held_at_the_boundary_does_not_roll_over(ledger: LedgerBuilder) -> None:
    give(ledger, rollover_max=1_000)
    ledger.now_us += MONTH_US - 1
    held = ledger.hold("acme", TRACK)

    assert later(ledger, 1).settled == 75 + 100 + 25
    ledger.commit(held, Outcome.CANCELLED)

    assert ledger.accounts["acme"].settled == 125
    assert told(ledger)[-4:] == [(5, -25), (1, 100), (1, 25), (5, -75)]


def test_what_is_owed_is_repaid_first_by_the_next_period(ledger: LedgerBuilder) -> None:
    ledger.update("acme", credit_limit=100)
    give(ledger, 40)
    ledger.charge("acme", TRACK)

    account = later(ledger, MONTH_US)

    assert (account.settled, account.owed) == (5, 0)
    assert account.grants[-1].consumed == 35


def test_a_voided_period_does_not_roll_over_and_the_next_one_comes(ledger: LedgerBuilder) -> None:
    give(ledger, rollover_max=1_000)
    ledger.void("acme", ledger.accounts["acme"].grants[0].grant_id)

    account = later(ledger, MONTH_US)

    assert account.settled == 100
    assert told(ledger) == [(1, 100), (6, -100), (1, 100)]


def test_no_period_begins_at_the_end_or_later(ledger: LedgerBuilder) -> None:
    give(ledger, rollover_max=1_000, end_us=NEW_YEAR_US + 2 * MONTH_US)

    assert later(ledger, MONTH_US).settled == 200
    assert later(ledger, 28 * DAY_US).settled == 300
    assert ledger.now_us < NEW_YEAR_US + 2 * MONTH_US
    assert later(ledger, MONTH_US).settled == 0


def test_an_end_at_a_beginning_comes_before_it(ledger: LedgerBuilder) -> None:
    give(ledger, end_us=NEW_YEAR_US + MONTH_US)

    assert ledger.accounts["acme"].recurring[0].next_us == NEVER_US
    assert later(ledger, MONTH_US - 1).settled == 100
    assert later(ledger, 1).settled == 0


def test_what_was_granted_stays_when_it_is_ended_until_it_expires(ledger: LedgerBuilder) -> None:
    ledger.end_recurring("acme", give(ledger, rollover_max=50))

    assert later(ledger, MONTH_US - 1).settled == 100
    assert later(ledger, 1).settled == 0


def test_what_has_ended_stays_ended(ledger: LedgerBuilder) -> None:
    number = give(ledger)
    ledger.end_recurring("acme", number)
    ledger.now_us += DAY_US

    ledger.end_recurring("acme", number)

    assert ledger.accounts["acme"].recurring[0].end_us == NEW_YEAR_US


def test_closing_ends_them_and_a_closed_account_gets_none(ledger: LedgerBuilder) -> None:
    give(ledger, anchor_us=NEW_YEAR_US + DAY_US)
    ledger.update("acme", state=AccountState.CLOSED)

    with pytest.raises(Refused) as refused:
        give(ledger)

    assert refused.value.reason is Reason.ACCOUNT_CLOSED
    ledger.update("acme", state=AccountState.ACTIVE)
    assert later(ledger, 2 * DAY_US).settled == 0


def test_a_blocked_account_goes_on_being_granted(ledger: LedgerBuilder) -> None:
    give(ledger)
    ledger.update("acme", state=AccountState.BLOCKED)

    assert later(ledger, MONTH_US).settled == 100


def test_a_grant_that_outlasts_the_beginning_stays_and_does_not_roll_over(
    ledger: LedgerBuilder,
) -> None:
    """The country has changed its time, and an end that was moved has set the next beginning anew."""
    give(ledger, rollover_max=1_000)
    account = ledger.accounts["acme"]
    (recurring,) = account.recurring
    earlier = recurring._replace(next_us=recurring.next_us - DAY_US)
    ledger.accounts["acme"] = account._replace(recurring=(earlier,))

    assert later(ledger, MONTH_US - DAY_US).settled == 200
    assert later(ledger, DAY_US).settled == 100


def test_several_are_granted_beside_each_other(ledger: LedgerBuilder) -> None:
    give(ledger, 5, period=RecurringPeriod.DAY)
    give(ledger, 100, priority=1)

    account = later(ledger, MONTH_US)

    assert account.settled == 105
    assert [each.number for each in account.recurring] == [1, 2]
    assert account.grants[-1].remaining == 100
    assert len({each.grant_id for each in account.grants}) == 32 + 2


def test_at_most_twenty_are_there_and_the_first_that_ended_makes_room(
    ledger: LedgerBuilder,
) -> None:
    for _ in range(RECURRING_MAX):
        give(ledger, 1)

    with pytest.raises(Refused) as refused:
        give(ledger, 1)
    assert refused.value.reason is Reason.TOO_MANY_RECURRING_GRANTS

    ledger.end_recurring("acme", 7)
    ledger.now_us += 1
    ledger.end_recurring("acme", 3)
    assert give(ledger, 1) == 21
    numbers = {each.number for each in ledger.accounts["acme"].recurring}
    assert numbers == {*range(1, 22)} - {7}


def test_a_number_is_never_given_twice(ledger: LedgerBuilder) -> None:
    """Or else a period that began with the first one's could have its grant's id."""
    made: list[int] = []
    for _ in range(50):
        made.append(give(ledger, 1))
        ledger.end_recurring("acme", made[-1])

    assert made == [*range(1, 51)]
    assert len({each.grant_id for each in ledger.accounts["acme"].grants}) == 50


def test_ten_thousand_are_the_most_in_a_life(ledger: LedgerBuilder) -> None:
    give(ledger)
    account = ledger.accounts["acme"]
    (last,) = account.recurring
    ledger.accounts["acme"] = account._replace(recurring=(last._replace(number=NUMBER_MAX),))

    with pytest.raises(Refused, match="the most in its life"):
        give(ledger)


def test_a_first_period_is_bounded_as_a_grant_is_and_later_ones_are_not_refused(
    ledger: LedgerBuilder,
) -> None:
    give(ledger, 100, anchor_us=NEW_YEAR_US + DAY_US)
    full = ledger.accounts["acme"]._replace(settled=BALANCE_MAX, credit_limit=0)
    ledger.accounts["acme"] = full

    with pytest.raises(Refused, match="balance over"):
        give(ledger, 1)
    assert later(ledger, DAY_US).settled == BALANCE_MAX + 100


@pytest.mark.parametrize("number", [1, 2, 20, NUMBER_MAX])
@pytest.mark.parametrize("place", [0, 1, 2**22 - 1])
@pytest.mark.parametrize("rolled_over", [False, True])
def test_the_id_of_a_grant_tells_where_it_comes_from(
    number: int, place: int, *, rolled_over: bool
) -> None:
    origin = Origin(number, place, rolled_over)

    assert origin_of(id_of(origin)) == origin
    assert 0 < id_of(origin) < 2**63


def test_three_million_days_fit_into_the_place_of_a_period() -> None:
    assert (9_999 - 2_000) * 366 < 2**22
