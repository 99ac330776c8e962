"""What is due is done first, where an answer depends on it: closing an account, and reading its journal."""

import pytest

from tests.support.clocked import Clock, running
from tests.support.ledgers import ACCOUNT, Ledger, fill, held, leads
from tollkeeper.core.account import AccountState
from tollkeeper.core.commands import (
    GetOverview,
    GrantCredits,
    ListEntries,
    UpdateAccount,
    VoidGrant,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.recurring.commands import CreateRecurringGrant
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.engine.engine import Engine

BEGIN_US = 1_800_000_000_000_000
MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
CLOSE = UpdateAccount(ACCOUNT, "close", state=AccountState.CLOSED)


async def empty_but_for_a_hold(engine: Engine) -> None:
    """Let everything that an account has be held, void once it comes back."""
    await fill(engine, credits=10)
    held(await engine.authorize(leads("held")))
    (grant,) = (await engine.overview(GetOverview(ACCOUNT))).grants
    await engine.void_grant(VoidGrant(ACCOUNT, grant.grant_id, "void"))


async def test_an_account_whose_holds_are_overdue_can_be_closed(ledger: Ledger) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await empty_but_for_a_hold(engine)
        clock.now_us += 2 * MINUTE_US
        shown = await engine.account(ACCOUNT)

        closed = await engine.update_account(CLOSE)

    assert (shown.balance.settled, shown.balance.held) == (0, 0)
    assert (closed.state, closed.balance) == (AccountState.CLOSED, shown.balance)
    assert ledger.findings() == []


async def test_an_account_that_holds_credits_is_not_closed_and_nothing_of_it_changes(
    ledger: Ledger,
) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await empty_but_for_a_hold(engine)
        clock.now_us += 30_000_000
        await engine.grant_credits(GrantCredits(ACCOUNT, "more", 20))
        held(await engine.authorize(leads("another", hold_us=DAY_US)))
        clock.now_us += MINUTE_US
        before = (ledger.rows("SELECT * FROM account"), ledger.states(), ledger.entries())

        with pytest.raises(Refused) as refused:
            await engine.update_account(CLOSE)

        after = (ledger.rows("SELECT * FROM account"), ledger.states(), ledger.entries())
    assert refused.value.reason is Reason.ACCOUNT_NOT_EMPTY
    assert "10 held" in refused.value.message
    assert after == before


async def test_the_journal_and_the_overview_agree_whatever_is_due(ledger: Ledger) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await fill(engine, credits=100)
        await engine.grant_credits(GrantCredits(ACCOUNT, "soon", 50, 0, BEGIN_US + DAY_US))
        plan = CreateRecurringGrant(ACCOUNT, "plan", 30, RecurringPeriod.DAY)
        await engine.create_recurring_grant(plan)
        held(await engine.authorize(leads("held")))
        clock.now_us += 3 * DAY_US
        written = ledger.number("SELECT count(*) FROM entry")

        overview = await engine.overview(GetOverview(ACCOUNT))
        statement = await engine.entries(ListEntries(ACCOUNT, 100))
        again = await engine.overview(GetOverview(ACCOUNT))

    entries = [each.entry for each in statement.entries]
    assert len(entries) > written
    assert entries[-1].settled == sum(each.credits for each in entries) == overview.balance.settled
    assert again.balance == overview.balance
    assert {each.kind for each in entries} == {EntryKind.GRANT, EntryKind.GRANT_EXPIRED}
    assert ledger.findings() == []


async def test_a_page_before_the_last_and_a_period_that_is_over_write_nothing(
    ledger: Ledger,
) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await fill(engine, credits=100)
        await engine.grant_credits(GrantCredits(ACCOUNT, "soon", 50, 0, BEGIN_US + DAY_US))
        clock.now_us += 3 * DAY_US

        first = await engine.entries(ListEntries(ACCOUNT, 1))
        over = await engine.entries(ListEntries(ACCOUNT, 100, 0, None, BEGIN_US + DAY_US))
        assert ledger.number("SELECT count(*) FROM entry") == 2
        last = await engine.entries(ListEntries(ACCOUNT, 1, 2))

    assert (len(first.entries), first.next_after, len(over.entries)) == (1, 1, 2)
    assert [each.entry.kind for each in last.entries] == [EntryKind.GRANT_EXPIRED]
