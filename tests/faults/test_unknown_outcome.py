"""A connection that is lost during a commit: its outcome is unknown, and yet all is counted once.

The store is made to fail right after, or right before, the real commit.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.gates import Gate, in_one_batch
from tests.support.ledgers import (
    ACCOUNT,
    CHARGE,
    COMMITTED,
    DEBIT,
    GRANT,
    GRANT_VOIDED,
    HELD,
    Ledger,
    fill,
    held,
    leads,
)
from tests.support.thorough import with_thorough
from tests.support.watched_store import WatchedStore
from tollkeeper.core.change import Authorized, Denied, Extended, Settled
from tollkeeper.core.commands import Commit, CreateAccount, Debit, Extend, GrantCredits, Release
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.recurring.commands import CreateRecurringGrant, ReplaceRecurringGrant
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.reservation import ReservationState
from tollkeeper.engine.ports import ConflictError, Needs, StoreError, UnavailableError
from tollkeeper.engine.settings import EngineSettings


class Fails(Gate):
    """Fails at the steps named, in that order."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.at_retry: Callable[[], None] | None = None
        self.loads = 0

    def beginning(self) -> None:
        if self.at_retry is not None and not self.steps:
            act, self.at_retry = self.at_retry, None
            act()

    def loading(self, needs: Needs) -> None:
        super().loading(needs)
        self.loads += 1
        self._fail("load", UnavailableError)

    def committing(self) -> None:
        super().committing()
        self._fail("before commit", UnavailableError)
        self._fail("conflict", ConflictError)
        self._fail("fault", StoreError)

    def committed(self) -> None:
        if self.steps[:1] == ["first"]:  # the operation that held the lane up
            self.steps.pop(0)
            return
        self._fail("after commit", UnavailableError)
        self._fail("fault after commit", StoreError)

    def _fail(self, step: str, kind: type[StoreError]) -> None:
        if self.steps[:1] == [step]:
            self.steps.pop(0)
            raise kind(step)


ALL_OUTAGES = [
    ["after commit"],
    ["before commit"],
    ["after commit", "load"],
    ["after commit", "before commit"],
    ["after commit", "after commit"],
    ["before commit", "after commit", "load", "after commit"],
    ["after commit", "conflict", "conflict"],
]
OUTAGES = with_thorough(
    ALL_OUTAGES, quick=[["after commit"], ["before commit", "after commit", "load", "after commit"]]
)
ALL_FAULTS = [
    ["fault"],
    ["fault after commit"],
    ["after commit", "fault"],
    ["after commit", *["conflict"] * 6],
]
FAULTS = with_thorough(ALL_FAULTS, quick=[["fault after commit"], ["after commit", "fault"]])


@pytest.fixture
def fails() -> Fails:
    return Fails()


@pytest.mark.parametrize("outage", OUTAGES, ids=", ".join)
async def test_the_first_answer_is_given_and_counted_once(
    ledger: Ledger, fails: Fails, outage: list[str]
) -> None:
    async with ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine, credits=100)

        fails.steps = list(outage)
        answers = await asyncio.gather(*[engine.authorize(leads(f"r-{n}")) for n in range(12)])
        granted = [answer for answer in answers if isinstance(answer, Authorized)]
        assert [answer.replayed for answer in granted] == [False] * 10
        assert sum(isinstance(answer, Denied) for answer in answers) == 2
        assert fails.steps == []

        fails.steps = list(outage)
        settled = await asyncio.gather(
            *[engine.commit(Commit(held(each), http_status=200)) for each in granted for _ in "12"]
        )
        assert [answer.replayed for answer in settled] == [False, True] * 10
        assert {answer.state for answer in settled} == {ReservationState.COMMITTED}

        fails.steps = list(outage)
        grant = await engine.grant_credits(GrantCredits(ACCOUNT, "more", 50))
        assert (grant.replayed, grant.remaining, grant.balance.settled) == (False, 50, 50)

        fails.steps = list(outage)
        debited = await engine.debit(Debit(ACCOUNT, "charge-back", 20))
        assert (debited.replayed, debited.credits, debited.balance.settled) == (False, 20, 30)
        assert (await engine.debit(Debit(ACCOUNT, "charge-back", 20))).replayed

        fails.steps = list(outage)
        made = CreateRecurringGrant(ACCOUNT, "plan", 10, RecurringPeriod.YEAR)
        plan = await engine.create_recurring_grant(made)
        assert (plan.replayed, plan.recurring.number) == (False, 1)

        fails.steps = list(outage)
        swap = ReplaceRecurringGrant(ACCOUNT, 1, "swap", 40)
        swapped = await engine.replace_recurring_grant(swap)
        assert (swapped.replayed, swapped.recurring.number) == (False, 2)
        assert swapped.balance.settled == 30 + 10 - swapped.voided + swapped.given
        assert (await engine.replace_recurring_grant(swap)).replayed

        fails.steps = list(outage)
        view = await engine.create_account(CreateAccount("other", "other"))
        assert view.balance.settled == 0

    assert ledger.states() == {COMMITTED: 10}
    assert ledger.entries() == {
        GRANT: (4, 160 + swapped.given),
        CHARGE: (10, -100),
        DEBIT: (1, -20),
        GRANT_VOIDED: (1, -swapped.voided),
    }
    assert ledger.findings() == []


@pytest.mark.parametrize("outage", OUTAGES, ids=", ".join)
async def test_an_extension_of_unknown_outcome_happens_again_and_the_hold_has_one_deadline(
    ledger: Ledger, fails: Fails, outage: list[str]
) -> None:
    async with ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r")))

        fails.steps = list(outage)
        answer = await engine.extend(Extend(name, 600_000_000))
        assert fails.steps == []

    assert ledger.rows("SELECT expires_us FROM hold") == [(answer.expires_us,)]
    assert ledger.rows("SELECT expires_us FROM reservation") == [(answer.expires_us,)]
    assert ledger.findings() == []


@pytest.mark.parametrize("faults", FAULTS, ids=", ".join)
async def test_an_extension_before_a_commit_is_told_of_though_its_repeat_comes_after_it(
    ledger: Ledger, fails: Fails, faults: list[str]
) -> None:
    async with ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r")))

        calls: list[Coroutine[Any, Any, Extended | Settled]] = [
            engine.extend(Extend(name, 600_000_000)),
            engine.commit(Commit(name, 200)),
        ]
        extended, settled = await in_one_batch(
            engine,
            fails,
            calls,
            before=lambda: fails.steps.extend(["first", *faults]),
        )
        assert fails.steps == []

    assert isinstance(extended, Extended)
    assert isinstance(settled, Settled)
    assert (settled.replayed, settled.late) == (False, False)
    assert ledger.rows("SELECT expires_us FROM reservation WHERE state = 2") == [
        (extended.expires_us,)
    ]
    assert ledger.states() == {HELD: 1, COMMITTED: 1}  # the first is the one that held the lane up
    assert ledger.findings() == []


async def test_a_repeat_is_still_a_repeat(ledger: Ledger, fails: Fails) -> None:
    async with ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r")))
        await engine.release(Release(name))

        fails.steps = ["after commit", "after commit"]
        again, released = await asyncio.gather(
            engine.authorize(leads("r")), engine.release(Release(name))
        )

    assert isinstance(again, Authorized)
    assert (again.replayed, released.replayed) == (True, True)
    assert again.state is ReservationState.RELEASED


@pytest.mark.parametrize("faults", FAULTS, ids=", ".join)
async def test_a_batch_that_is_tried_operation_by_operation_gives_the_first_answers_too(
    ledger: Ledger, fails: Fails, faults: list[str]
) -> None:
    async with ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine, credits=110)

        granted = await in_one_batch(
            engine,
            fails,
            [engine.authorize(leads(f"r-{n}")) for n in range(12)],
            before=lambda: fails.steps.extend(["first", *faults]),
        )
        assert fails.steps == []
        answers = [answer for answer in granted if isinstance(answer, Authorized)]
        assert [answer.replayed for answer in answers] == [False] * 10

        settled = await in_one_batch(
            engine,
            fails,
            [engine.commit(Commit(held(each), http_status=200)) for each in answers],
            before=lambda: fails.steps.extend(["first", *faults]),
        )
        assert fails.steps == []
        assert [answer.replayed for answer in settled] == [False] * 10

    assert ledger.states() == {HELD: 1, COMMITTED: 10}
    assert ledger.findings() == []


async def test_what_another_server_did_meanwhile_is_not_taken_for_our_own(
    ledger: Ledger, fails: Fails
) -> None:
    async with (
        ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as ours,
        ledger.engine() as other,
    ):
        await fill(ours)
        name = held(await ours.authorize(leads("r")))
        loop = asyncio.get_running_loop()

        def commit_elsewhere() -> None:
            call = other.commit(Commit(name, http_status=200))
            answer = asyncio.run_coroutine_threadsafe(call, loop).result(20)
            assert answer.replayed is False

        fails.steps = ["before commit"]
        fails.at_retry = commit_elsewhere
        answer = await ours.commit(Commit(name, http_status=200))

    assert answer.replayed is True
    assert ledger.entries()[CHARGE] == (1, -10)
    assert ledger.findings() == []


async def test_what_another_server_has_debited_meanwhile_is_a_repeat_here(
    ledger: Ledger, fails: Fails
) -> None:
    command = Debit(ACCOUNT, "charge-back", 20)
    async with (
        ledger.engine(wrap=lambda store: WatchedStore(store, fails)) as ours,
        ledger.engine() as other,
    ):
        await fill(ours)
        loop = asyncio.get_running_loop()

        def debit_elsewhere() -> None:
            call = other.debit(command)
            assert not asyncio.run_coroutine_threadsafe(call, loop).result(20).replayed

        fails.steps = ["before commit"]
        fails.at_retry = debit_elsewhere
        answer = await ours.debit(command)

    assert answer.replayed is True
    assert ledger.entries()[DEBIT] == (1, -20)
    assert ledger.findings() == []


async def test_a_call_that_cannot_be_resolved_in_time_says_so_and_can_be_repeated(
    ledger: Ledger, fails: Fails
) -> None:
    settings = EngineSettings(retry_for_s=0.2)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine)

        fails.steps = ["after commit", *["load"] * 100]
        with pytest.raises(Refused) as refused:
            await engine.authorize(leads("r"))
        assert refused.value.reason is Reason.STORE_UNAVAILABLE
        assert refused.value.retry_after_us

        fails.steps = []
        again = await engine.authorize(leads("r"))

    assert isinstance(again, Authorized)
    assert again.replayed is True
    assert ledger.states() == {HELD: 1}


async def test_a_batch_without_end_of_conflicts_ends(ledger: Ledger, fails: Fails) -> None:
    settings = EngineSettings(retry_for_s=0.5)
    async with ledger.engine(settings, wrap=lambda store: WatchedStore(store, fails)) as engine:
        await fill(engine)
        fails.loads = 0
        fails.steps = ["conflict"] * 1_000

        async with asyncio.timeout(10):
            answers = await asyncio.gather(
                *[engine.authorize(leads(f"r-{n}")) for n in range(50)], return_exceptions=True
            )

        fails.steps = []
        assert all(
            isinstance(answer, Refused) and answer.reason is Reason.STORE_UNAVAILABLE
            for answer in answers
        )
        assert fails.loads < 100
    assert ledger.states() == {}
    assert ledger.findings() == []
