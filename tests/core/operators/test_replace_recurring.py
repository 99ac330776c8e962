"""What becomes of a plan that is replaced by another: the rules of docs/reference/rules.md, one by one."""

from typing import Any

import pytest

from tests.support.builders import DAY_US, HOUR_US, NEW_YEAR_US, LedgerBuilder
from tollkeeper.core.account import Account, AccountState, do_what_is_due
from tollkeeper.core.credits import BALANCE_MAX, GRANT_MAX
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.operators.replace_recurring import Replaced
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.recurring.commands import When
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import (
    NUMBER_MAX,
    RECURRING_MAX,
    Origin,
    RecurringGrant,
    id_of,
)

MONTH_US = 31 * DAY_US
"""January, where every ledger here begins."""
HALF_US = MONTH_US // 2
NEXT = {"when": When.NEXT_PERIOD}
YEARLY = {"period": RecurringPeriod.YEAR}
OLD, NEW = (id_of(Origin(number, 0, rolled_over=False)) for number in (1, 2))


@pytest.fixture
def ledger() -> LedgerBuilder:
    """An account without credits, on the first of January."""
    ledger = LedgerBuilder()
    ledger.publish()
    ledger.account("acme")
    return ledger


def give(ledger: LedgerBuilder, credits: int = 100, **more: Any) -> int:
    return ledger.recurring("acme", credits, **{"period": RecurringPeriod.MONTH, **more})


def replace(ledger: LedgerBuilder, credits: int, *, number: int = 1, **more: Any) -> Replaced:
    return ledger.replace_recurring("acme", number, credits, **more)


def at(ledger: LedgerBuilder, after_us: int) -> Account:
    """Move the clock to so long after New Year, and look at the account as a read does."""
    ledger.now_us = NEW_YEAR_US + after_us
    return do_what_is_due(ledger.accounts["acme"], ledger.now_us)[0]


def remaining(account: Account) -> dict[int, int]:
    return {each.grant_id: each.remaining for each in account.grants if each.remaining}


def told(ledger: LedgerBuilder) -> list[tuple[int, int]]:
    """The journal: kinds and credits."""
    return [(row[3], row[4]) for row in ledger.entries]


def known(ledger: LedgerBuilder, number: int) -> RecurringGrant:
    return next(each for each in ledger.accounts["acme"].recurring if each.number == number)


def refusal(ledger: LedgerBuilder, credits: int = 300, **more: Any) -> Refused:
    before = ledger.accounts["acme"]
    with pytest.raises(Refused) as refused:
        replace(ledger, credits, **more)
    assert ledger.accounts["acme"] is before
    return refused.value


def test_half_of_the_old_share_is_taken_back_and_half_of_the_new_given(
    ledger: LedgerBuilder,
) -> None:
    give(ledger)
    ledger.charge("acme")
    at(ledger, HALF_US)

    replaced = replace(ledger, 300, rollover_max=20, priority=4, note="plan L")

    account = ledger.accounts["acme"]
    assert (replaced.voided, replaced.given, replaced.end_us) == (50, 150, ledger.now_us)
    assert (account.settled, remaining(account)) == (190, {OLD: 40, NEW: 150})
    assert told(ledger)[-2:] == [(EntryKind.GRANT_VOIDED, -50), (EntryKind.GRANT, 150)]
    assert [row[11] for row in ledger.entries[-2:]] == ["plan L", "plan L"]
    given = next(each for each in account.grants if each.grant_id == NEW)
    assert (given.created_us, given.expires_us) == (ledger.now_us, NEW_YEAR_US + MONTH_US)
    assert given.priority == 4


def test_the_new_one_then_gives_full_periods_on_the_same_calendar(ledger: LedgerBuilder) -> None:
    """The anchor is the 31st of January: February ends on its last day, March is back on the 31st."""
    anchor_us = NEW_YEAR_US + 30 * DAY_US
    ledger.now_us = anchor_us
    give(ledger, time_zone="Europe/Berlin")
    at(ledger, 40 * DAY_US)

    replace(ledger, 300)

    new = known(ledger, 2)
    assert (new.anchor_us, new.time_zone, new.period) == (
        anchor_us,
        "Europe/Berlin",
        RecurringPeriod.MONTH,
    )
    assert new.next_us == NEW_YEAR_US + 58 * DAY_US
    account = at(ledger, 58 * DAY_US)
    assert account.settled == 300
    assert account.recurring[0].next_us == NEW_YEAR_US + 89 * DAY_US - HOUR_US


def test_a_moment_before_the_end_almost_nothing_changes_hands(ledger: LedgerBuilder) -> None:
    give(ledger)
    at(ledger, MONTH_US - 1)

    replaced = replace(ledger, 300)

    assert (replaced.voided, replaced.given) == (0, 0)
    assert at(ledger, MONTH_US).settled == 300


def test_at_a_boundary_the_period_that_has_just_begun_is_replaced_whole(
    ledger: LedgerBuilder,
) -> None:
    give(ledger)
    at(ledger, MONTH_US)

    replaced = replace(ledger, 300)

    assert (replaced.voided, replaced.given) == (100, 300)
    assert ledger.accounts["acme"].settled == 300
    assert at(ledger, MONTH_US + 28 * DAY_US).settled == 300


@pytest.mark.parametrize(
    ("used", "voided", "given"),
    [(0, 50, 150), (50, 50, 150), (60, 40, 140), (100, 0, 100)],
)
def test_what_was_used_ahead_is_deducted_from_what_is_given(
    ledger: LedgerBuilder, used: int, voided: int, given: int
) -> None:
    give(ledger)
    ledger.charge("acme", times=used // 10)
    at(ledger, HALF_US)

    replaced = replace(ledger, 300)

    assert (replaced.voided, replaced.given) == (voided, given)
    assert ledger.accounts["acme"].settled == 50 + 150 - used


def test_what_was_used_ahead_of_a_smaller_plan_is_not_asked_back(ledger: LedgerBuilder) -> None:
    give(ledger)
    ledger.charge("acme", times=10)
    at(ledger, HALF_US)

    replaced = replace(ledger, 20)

    assert (replaced.voided, replaced.given) == (0, 0)
    assert ledger.accounts["acme"].settled == 0
    assert told(ledger)[-1] == (EntryKind.GRANT, 0)
    assert at(ledger, MONTH_US).settled == 20


@pytest.mark.parametrize("used", [0, 30, 50, 80, 100])
def test_an_equal_plan_changes_nothing_however_often_it_comes(
    ledger: LedgerBuilder, used: int
) -> None:
    give(ledger)
    ledger.charge("acme", times=used // 10)

    for number in range(1, 8):
        at(ledger, number * 4 * DAY_US + 12_345)
        replace(ledger, 100, number=number)
        assert ledger.accounts["acme"].settled == 100 - used

    assert at(ledger, MONTH_US).settled == 100


def test_a_second_replacement_in_one_period_takes_back_the_share_of_the_second(
    ledger: LedgerBuilder,
) -> None:
    give(ledger)
    at(ledger, HALF_US)
    replace(ledger, 300)
    at(ledger, HALF_US + HALF_US // 2)

    replaced = replace(ledger, 1_000, number=2)

    assert (replaced.voided, replaced.given) == (75, 250)
    assert ledger.accounts["acme"].settled == 50 + 75 + 250


def test_what_is_held_stays_held_and_comes_back_to_the_old_grant(ledger: LedgerBuilder) -> None:
    give(ledger)
    held = [ledger.hold("acme", hold_s=3600) for _ in range(7)]
    at(ledger, HALF_US)

    replaced = replace(ledger, 100)

    assert (replaced.voided, replaced.given, ledger.accounts["acme"].held) == (30, 30, 70)
    ledger.now_us = NEW_YEAR_US
    ledger.commit(held[0], Outcome.CANCELLED)
    assert remaining(ledger.accounts["acme"]) == {OLD: 10, NEW: 30}


def test_what_rolled_over_stays_and_rolls_over_no_more(ledger: LedgerBuilder) -> None:
    give(ledger, rollover_max=30)
    at(ledger, MONTH_US)
    ledger.do_due("acme")
    at(ledger, MONTH_US + 14 * DAY_US)

    replaced = replace(ledger, 100, rollover_max=1_000)

    assert (replaced.voided, replaced.given) == (50, 50)
    assert at(ledger, MONTH_US + 28 * DAY_US - 1).settled == 130
    account = at(ledger, MONTH_US + 28 * DAY_US)
    assert account.settled == 100 + 50
    rolled = id_of(Origin(2, 1, rolled_over=True))
    assert remaining(account)[rolled] == 50


def test_what_is_owed_is_repaid_from_what_is_given(ledger: LedgerBuilder) -> None:
    ledger.update("acme", credit_limit=100)
    give(ledger, 40)
    ledger.charge("acme", times=6)
    at(ledger, HALF_US)

    replaced = replace(ledger, 400)

    assert (replaced.voided, replaced.given) == (0, 200 - 20)
    account = ledger.accounts["acme"]
    assert (account.settled, account.owed, remaining(account)) == (160, 0, {NEW: 160})


def test_a_period_of_another_length_begins_now_in_full(ledger: LedgerBuilder) -> None:
    give(ledger, time_zone="Europe/Berlin")
    at(ledger, HALF_US)

    replaced = replace(ledger, 1_200, **YEARLY)

    new = known(ledger, 2)
    assert (replaced.voided, replaced.given) == (50, 1_200)
    assert (new.anchor_us, new.time_zone) == (ledger.now_us, "Europe/Berlin")
    assert new.next_us == ledger.now_us + 365 * DAY_US
    assert at(ledger, MONTH_US).settled == 1_200


def test_what_was_used_ahead_is_deducted_from_a_period_of_another_length_too(
    ledger: LedgerBuilder,
) -> None:
    give(ledger)
    ledger.charge("acme", times=8)
    at(ledger, HALF_US)

    replaced = replace(ledger, 1_200, **YEARLY)

    assert (replaced.voided, replaced.given) == (20, 1_170)
    assert at(ledger, HALF_US + 365 * DAY_US).settled == 1_200


def test_the_next_period_is_the_first_of_the_new_one(ledger: LedgerBuilder) -> None:
    give(ledger, rollover_max=1_000)
    at(ledger, HALF_US)

    replaced = replace(ledger, 300, **NEXT)

    assert (replaced.voided, replaced.given) == (0, 0)
    assert replaced.end_us == replaced.recurring.next_us == NEW_YEAR_US + MONTH_US
    assert at(ledger, MONTH_US - 1).settled == 100
    account = at(ledger, MONTH_US)
    assert (account.settled, remaining(account)) == (300, {NEW: 300})
    assert at(ledger, MONTH_US + 28 * DAY_US).settled == 300


def test_a_period_of_another_length_begins_where_the_next_one_would(ledger: LedgerBuilder) -> None:
    give(ledger)

    replace(ledger, 7, period=RecurringPeriod.DAY, **NEXT)

    assert known(ledger, 2).anchor_us == NEW_YEAR_US + MONTH_US
    assert at(ledger, MONTH_US - 1).settled == 100
    assert [at(ledger, MONTH_US + days * DAY_US).settled for days in (0, 1, 2)] == [7, 7, 7]


def test_one_that_is_to_begin_can_be_replaced_before_it_does(ledger: LedgerBuilder) -> None:
    give(ledger)
    replace(ledger, 300, **NEXT)
    at(ledger, HALF_US)

    replaced = replace(ledger, 400, number=2)

    assert (replaced.voided, replaced.given) == (0, 0)
    assert known(ledger, 2).end_us == ledger.now_us
    assert ledger.accounts["acme"].settled == 100
    assert at(ledger, MONTH_US).settled == 400


@pytest.mark.parametrize("when", [*When])
def test_one_whose_anchor_is_to_come_is_replaced_from_there(
    ledger: LedgerBuilder, when: When
) -> None:
    give(ledger, anchor_us=NEW_YEAR_US + DAY_US)

    replaced = replace(ledger, 300, when=when, **YEARLY)

    assert (replaced.voided, replaced.given) == (0, 0)
    assert replaced.recurring.anchor_us == NEW_YEAR_US + DAY_US
    assert at(ledger, DAY_US - 1).settled == 0
    assert at(ledger, DAY_US).settled == 300


def test_a_first_period_that_had_begun_before_is_counted_from_its_beginning(
    ledger: LedgerBuilder,
) -> None:
    """It was given in full, but half of the month was over when the plan was made."""
    give(ledger, anchor_us=NEW_YEAR_US - 15 * DAY_US - 12 * HOUR_US)

    replaced = replace(ledger, 300)

    assert (replaced.voided, replaced.given) == (50, 150)


def test_the_end_of_the_old_one_is_that_of_the_new_one(ledger: LedgerBuilder) -> None:
    end_us = NEW_YEAR_US + 40 * DAY_US
    give(ledger, end_us=end_us)
    at(ledger, HALF_US)

    replaced = replace(ledger, 300)

    assert replaced.recurring.end_us == end_us
    assert at(ledger, MONTH_US).settled == 300
    assert at(ledger, MONTH_US + 28 * DAY_US).settled == 0


def test_one_in_its_last_period_is_replaced_until_that_ends(ledger: LedgerBuilder) -> None:
    give(ledger, end_us=NEW_YEAR_US + MONTH_US)
    at(ledger, HALF_US)

    replaced = replace(ledger, 300)

    assert (replaced.voided, replaced.given, replaced.recurring.next_us) == (50, 150, NEVER_US)
    assert at(ledger, MONTH_US - 1).settled == 200
    assert at(ledger, MONTH_US).settled == 0


def test_one_without_a_next_period_cannot_be_replaced_there(ledger: LedgerBuilder) -> None:
    give(ledger, end_us=NEW_YEAR_US + MONTH_US)

    refused = refusal(ledger, **NEXT)

    assert (refused.reason, [each.field for each in refused.fields]) == (
        Reason.INVALID_FIELD,
        ["when"],
    )


@pytest.mark.parametrize("when", [*When])
def test_one_that_gives_nothing_any_more_cannot_be_replaced(
    ledger: LedgerBuilder, when: When
) -> None:
    ledger.end_recurring("acme", give(ledger))
    give(ledger, anchor_us=NEW_YEAR_US + 9 * DAY_US)
    account = ledger.accounts["acme"]
    never_begins = tuple(
        each.until(NEW_YEAR_US + DAY_US) if each.number == 2 else each for each in account.recurring
    )
    ledger.accounts["acme"] = account._replace(recurring=never_begins)

    for number in (1, 2):
        refused = refusal(ledger, number=number, when=when)
        assert refused.reason is Reason.INVALID_FIELD
        assert [each.field for each in refused.fields] == ["recurring_grant_id"]


def test_one_that_is_not_there_is_not_found(ledger: LedgerBuilder) -> None:
    give(ledger)

    assert refusal(ledger, number=2).reason is Reason.RECURRING_GRANT_NOT_FOUND


def test_a_closed_account_is_refused_and_a_blocked_one_is_not(ledger: LedgerBuilder) -> None:
    give(ledger, anchor_us=NEW_YEAR_US + DAY_US)
    ledger.update("acme", state=AccountState.BLOCKED)
    assert replace(ledger, 300).recurring.number == 2
    ledger.update("acme", state=AccountState.CLOSED)

    assert refusal(ledger, number=2).reason is Reason.ACCOUNT_CLOSED


def test_the_replaced_one_makes_room_where_it_has_ended(ledger: LedgerBuilder) -> None:
    for _ in range(RECURRING_MAX):
        give(ledger, 100)

    assert refusal(ledger, **NEXT).reason is Reason.TOO_MANY_RECURRING_GRANTS
    assert replace(ledger, 300).recurring.number == RECURRING_MAX + 1
    assert len(ledger.accounts["acme"].recurring) == RECURRING_MAX
    assert ledger.accounts["acme"].settled == 19 * 100 + 300


def test_no_more_than_ten_thousand_come_in_a_life(ledger: LedgerBuilder) -> None:
    give(ledger)
    account = ledger.accounts["acme"]
    last = account.recurring[0]._replace(number=NUMBER_MAX)
    ledger.accounts["acme"] = account._replace(recurring=(last,))

    assert refusal(ledger, number=NUMBER_MAX).reason is Reason.TOO_MANY_RECURRING_GRANTS


def test_what_is_given_at_once_keeps_to_the_bound_of_the_balance(ledger: LedgerBuilder) -> None:
    give(ledger)
    full = ledger.accounts["acme"]._replace(settled=BALANCE_MAX - GRANT_MAX + 101)
    ledger.accounts["acme"] = full

    refused = refusal(ledger, GRANT_MAX)

    assert [each.field for each in refused.fields] == ["credits"]
    assert replace(ledger, GRANT_MAX, **NEXT).given == 0


def test_it_can_be_voided_whole_after_it_was_voided_in_part(ledger: LedgerBuilder) -> None:
    give(ledger)
    held = ledger.hold("acme")
    at(ledger, HALF_US)
    replace(ledger, 100)

    ledger.void("acme", OLD)
    ledger.expire(held)

    old = next(each for each in ledger.accounts["acme"].grants if each.grant_id == OLD)
    assert (old.remaining, old.voided, old.void) == (0, 100, True)
    assert remaining(ledger.accounts["acme"]) == {NEW: 50}
