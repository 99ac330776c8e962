"""Laws of recurring grants: it does not matter when somebody comes by, and no credit is made or lost."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import DAY_US, NEW_YEAR_US, SECOND_US, LedgerBuilder
from tollkeeper.core.account import Account, do_what_is_due
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import origin_of

specs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "credits": st.integers(1, 30),
        "period": st.sampled_from([RecurringPeriod.DAY, RecurringPeriod.DAY, *RecurringPeriod]),
        "anchor_us": st.integers(-40 * 24, 40 * 24).map(
            lambda hours: NEW_YEAR_US + hours * DAY_US // 24
        ),
        "time_zone": st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
        "rollover_max": st.sampled_from([0, 5, 40]),
        "priority": st.integers(0, 1),
        "end_us": st.one_of(
            st.none(), st.integers(41, 120).map(lambda days: NEW_YEAR_US + days * DAY_US)
        ),
    }
)
moments = st.lists(st.integers(0, 100 * DAY_US), min_size=1, max_size=6).map(sorted)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """An account with recurring grants, another grant, and maybe something owed."""
    ledger = LedgerBuilder()
    ledger.account("acme", credit_limit=draw(st.sampled_from([0, 20])))
    if draw(st.booleans()):
        ledger.grant("acme", 15, expires_us=ledger.now_us + draw(st.integers(1, 50)) * DAY_US)
    for spec in draw(st.lists(specs, min_size=1, max_size=3)):
        ledger.recurring("acme", **spec)
    for _ in range(draw(st.integers(0, 3))):
        if ledger.accounts["acme"].available >= 10:
            ledger.charge("acme")
    if ledger.accounts["acme"].available >= 10 and draw(st.booleans()):
        ledger.hold("acme", hold_s=SECOND_US)
    return ledger.accounts["acme"]


@given(account=accounts(), later_us=moments)
def test_to_come_by_often_is_to_come_by_once(account: Account, later_us: list[int]) -> None:
    at_once, entries = do_what_is_due(account, NEW_YEAR_US + later_us[-1])
    seen = account
    lines: list[tuple[int, int, int]] = []
    for each in later_us:
        seen, made = do_what_is_due(seen, NEW_YEAR_US + each)
        lines += [(entry.kind, entry.credits, entry.grant_id) for entry in made]

    assert seen == at_once
    assert lines == [(entry.kind, entry.credits, entry.grant_id) for entry in entries]


@given(account=accounts(), later_us=moments)
def test_no_credit_is_made_or_lost_and_every_period_has_one_grant(
    account: Account, later_us: list[int]
) -> None:
    after, entries = do_what_is_due(account, NEW_YEAR_US + later_us[-1])

    assert after.settled == account.settled + sum(entry.credits for entry in entries)
    assert after.owed >= 0
    assert after.owed == 0 or all(grant.remaining == 0 for grant in after.grants)
    for grant in after.grants:
        places = (grant.remaining, grant.held, grant.consumed, grant.expired, grant.voided)
        assert min(places) >= 0
        assert sum(places) == grant.credits
    origins = [origin_of(grant.grant_id) for grant in after.grants]
    for each in after.recurring:
        regular = [
            origin.place
            for origin in origins
            if origin and origin.number == each.number and not origin.rolled_over
        ]
        assert sorted(regular) == [*range(each.granted)]
        assert each.next_us == NEVER_US or each.next_us > NEW_YEAR_US + later_us[-1]


@given(account=accounts(), later_us=moments)
def test_no_more_rolls_over_than_the_cap_and_than_was_left(
    account: Account, later_us: list[int]
) -> None:
    after, entries = do_what_is_due(account, NEW_YEAR_US + later_us[-1])

    lost: dict[tuple[int, int], int] = {}
    for entry in entries:
        origin = origin_of(entry.grant_id)
        if origin is None:
            continue
        if entry.credits < 0:
            period = origin.number, origin.place + 1
            lost[period] = lost.get(period, 0) - entry.credits
        elif origin.rolled_over:
            most = next(each for each in after.recurring if each.number == origin.number)
            left = lost[origin.number, origin.place]
            assert entry.credits == min(left, most.rollover_max)


# Replacements


@st.composite
def plans_in_use(draw: st.DrawFn) -> tuple[LedgerBuilder, int]:
    """An account in the middle of a period of its plan, some of which is used or held; and where the period ends."""
    ledger = LedgerBuilder()
    ledger.account("acme", credit_limit=draw(st.sampled_from([0, 0, 30])))
    spec: dict[str, Any] = draw(specs) | {"end_us": None}
    spec |= {"anchor_us": draw(st.sampled_from([None, NEW_YEAR_US - 5 * DAY_US]))}
    spec |= {"credits": draw(st.integers(1, 60))}
    ledger.recurring("acme", **spec)
    _use(draw, ledger)
    for _ in range(draw(st.integers(0, 2))):
        ledger.now_us = ledger.accounts["acme"].recurring[0].next_us
        ledger.do_due("acme")
        _use(draw, ledger)
    return ledger, ledger.accounts["acme"].recurring[0].next_us


def _use(draw: st.DrawFn, ledger: LedgerBuilder) -> None:
    for _ in range(draw(st.integers(0, 4))):
        if ledger.accounts["acme"].available >= 10:
            if draw(st.booleans()):
                ledger.charge("acme")
            else:
                ledger.hold("acme", hold_s=3_600)


parts_of_a_period = st.lists(st.integers(0, 999), min_size=1, max_size=5).map(sorted)


@given(drawn=plans_in_use(), parts=parts_of_a_period, use=st.booleans())
def test_an_equal_plan_leaves_what_there_was_however_often_it_comes(
    drawn: tuple[LedgerBuilder, int], parts: list[int], *, use: bool
) -> None:
    ledger, ends_us = drawn
    begins_us = ledger.now_us
    plan = ledger.accounts["acme"].recurring[0]
    for number, part in enumerate(parts, start=1):
        ledger.now_us = begins_us + (ends_us - begins_us) * part // 1_000
        before = ledger.accounts["acme"]

        ledger.replace_recurring("acme", number, plan.credits, rollover_max=plan.rollover_max)

        after = ledger.accounts["acme"]
        assert (after.settled, after.held, after.owed) == (
            before.settled,
            before.held,
            before.owed,
        )
        assert sum(grant.remaining for grant in after.grants) == sum(
            grant.remaining for grant in before.grants
        )
        if use and after.available >= 10:
            ledger.charge("acme")


@given(
    drawn=plans_in_use(),
    part=st.integers(0, 999),
    more=st.integers(0, 60),
    period=st.sampled_from([None, None, *RecurringPeriod]),
)
def test_what_is_exchanged_is_the_difference_of_the_shares(
    drawn: tuple[LedgerBuilder, int], part: int, more: int, period: RecurringPeriod | None
) -> None:
    """Where the new one's share is not the smaller one; and no credit is made or lost by it."""
    ledger, ends_us = drawn
    begins_us = ledger.now_us
    ledger.now_us += (ends_us - begins_us) * part // 1_000
    before = ledger.accounts["acme"]
    old = before.recurring[0]
    credits = old.credits + more

    replaced = ledger.replace_recurring("acme", old.number, credits, period=period)

    after = ledger.accounts["acme"]
    length_us = ends_us - old.calendar.containing(ledger.now_us).at_us
    left_us = ends_us - ledger.now_us
    share = credits * left_us // length_us if period in {None, old.period} else credits
    assert after.settled - before.settled == share - old.credits * left_us // length_us
    assert after.settled - before.settled == replaced.given - replaced.voided
    assert after.owed == max(0, before.owed - replaced.given)
    for grant in after.grants:
        places = (grant.remaining, grant.held, grant.consumed, grant.expired, grant.voided)
        assert min(places) >= 0
        assert sum(places) == grant.credits
    later, _ = do_what_is_due(after, ends_us)
    assert later.owed >= 0
