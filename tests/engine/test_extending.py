"""Extending a hold: its deadline moves on, in `reservation` and in `hold` together, and never back."""

import asyncio
from collections.abc import Awaitable

import pytest

from tests.support.clocked import Clock, running
from tests.support.ledgers import (
    ACCOUNT,
    CHARGE,
    COMMITTED,
    EXPIRED,
    HELD,
    LATE_CHARGE,
    RELEASED,
    Ledger,
    fill,
    held,
    leads,
)
from tollkeeper.core.account import AccountState
from tollkeeper.core.answers.explanation import ExplainReservation
from tollkeeper.core.change import Authorized, Extended, Settled
from tollkeeper.core.commands import (
    Commit,
    Extend,
    GetOverview,
    Release,
    UpdateAccount,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.reservation import ReservationName, ReservationState
from tollkeeper.core.usage import UsageKind
from tollkeeper.engine.settings import EngineSettings

S = 1_000_000
HOUR_US = 3_600 * S
DAY_US = 24 * HOUR_US
BEGIN_US = 1_800_000_000 * S
DEADLINES = (
    "SELECT r.expires_us, h.expires_us FROM reservation r "
    "LEFT JOIN hold h ON h.shard = r.shard AND h.reservation_id = r.reservation_id "
    "ORDER BY r.reservation_id"
)


def deadlines(ledger: Ledger) -> list[tuple[int | None, ...]]:
    """The deadline of each reservation and of its row in `hold`, in seconds after the beginning."""
    return [
        tuple(None if each is None else (each - BEGIN_US) // S for each in row)
        for row in ledger.rows(DEADLINES)
    ]


async def refused(call: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    return found.value


async def test_a_job_of_two_days_keeps_its_credits_held_and_is_charged_in_time(
    ledger: Ledger,
) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await fill(engine, credits=10)
        name = held(await engine.authorize(leads("job", hold_us=2 * HOUR_US)))

        for _ in range(48):
            clock.now_us += HOUR_US
            answer = await engine.extend(Extend(name, 2 * HOUR_US))
            await engine.sweep()
            assert answer.expires_us == clock.now_us + 2 * HOUR_US
            assert (answer.balance.available, answer.balance.held) == (0, 10)

        settled = await engine.commit(Commit(name, http_status=200))
        told = await engine.explanation(ExplainReservation(name))

    assert (settled.state, settled.late) == (ReservationState.COMMITTED, False)
    assert told.reservation is not None
    assert told.reservation.expires_us == BEGIN_US + 50 * HOUR_US
    assert ledger.states() == {COMMITTED: 1}
    assert ledger.entries()[CHARGE] == (1, -10)
    assert deadlines(ledger) == [(50 * 3_600, None)]
    assert ledger.findings() == []


async def test_it_is_never_shorter_and_ends_where_its_longest_life_ends(ledger: Ledger) -> None:
    clock = Clock(BEGIN_US)
    settings = EngineSettings(hold_total_max_us=DAY_US + HOUR_US)
    async with running(ledger, clock, settings) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r", hold_us=10 * HOUR_US)))
        before = ledger.rows("SELECT * FROM account"), ledger.rows("SELECT * FROM reservation")

        shorter = await engine.extend(Extend(name, HOUR_US))
        default = await engine.extend(Extend(name))

        assert {shorter.expires_us, default.expires_us} == {BEGIN_US + 10 * HOUR_US}
        after = ledger.rows("SELECT * FROM account"), ledger.rows("SELECT * FROM reservation")
        assert after == before
        clock.now_us += 9 * HOUR_US
        cut = await engine.extend(Extend(name, DAY_US))
        again = await engine.extend(Extend(name, DAY_US))
        assert {cut.expires_us, again.expires_us} == {BEGIN_US + DAY_US + HOUR_US}

    assert deadlines(ledger) == [(25 * 3_600, 25 * 3_600)]
    assert ledger.findings() == []


async def test_a_hold_that_is_longer_than_the_setting_allows_now_stays_as_it_is(
    ledger: Ledger,
) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r", hold_us=DAY_US)))
    async with running(ledger, clock, EngineSettings(hold_total_max_us=HOUR_US)) as engine:
        answer = await engine.extend(Extend(name, HOUR_US))

    assert answer.expires_us == BEGIN_US + DAY_US
    assert deadlines(ledger) == [(86_400, 86_400)]


async def test_a_repeated_authorize_shows_the_deadline_as_it_is_now(ledger: Ledger) -> None:
    async with running(ledger, Clock(BEGIN_US)) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r")))
        await engine.extend(Extend(name, HOUR_US))

        again = await engine.authorize(leads("r"))
        other = await refused(engine.authorize(leads("r", hold_us=HOUR_US)))

    assert isinstance(again, Authorized)
    assert (again.reservation, again.replayed) == (name, True)
    assert again.expires_us == BEGIN_US + HOUR_US
    assert other.reason is Reason.IDEMPOTENCY_KEY_REUSED


@pytest.mark.parametrize("swept", [False, True], ids=["found overdue", "ended by the sweeper"])
async def test_what_is_not_open_cannot_be_extended_and_no_row_changes(
    ledger: Ledger, swept: bool
) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await fill(engine)
        names = [held(await engine.authorize(leads(each))) for each in "abc"]
        await engine.commit(Commit(names[0], http_status=200))
        await engine.release(Release(names[1]))
        clock.now_us += 60 * S
        if swept:
            await engine.sweep()
        before = ledger.rows(DEADLINES), ledger.rows("SELECT * FROM account"), ledger.states()

        names.append(ReservationName(names[0].account_key, 4_242))
        found = [await refused(engine.extend(Extend(each, HOUR_US))) for each in names]

        after = ledger.rows(DEADLINES), ledger.rows("SELECT * FROM account"), ledger.states()
        late = await engine.commit(Commit(names[2], http_status=200))

    assert [each.reason for each in found] == [
        Reason.ALREADY_COMMITTED,
        Reason.ALREADY_RELEASED,
        Reason.RESERVATION_EXPIRED,
        Reason.RESERVATION_NOT_FOUND,
    ]
    assert [each.metadata.get("state") for each in found] == [
        "COMMITTED",
        "RELEASED",
        "EXPIRED",
        None,
    ]
    assert after == before
    assert late.late
    assert ledger.findings() == []


async def test_it_is_possible_until_the_last_microsecond(ledger: Ledger) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as engine:
        await fill(engine)
        first, second = [held(await engine.authorize(leads(each))) for each in "ab"]

        clock.now_us = BEGIN_US + 60 * S - 1
        answer = await engine.extend(Extend(first, 60 * S))
        clock.now_us += 1
        too_late = await refused(engine.extend(Extend(second, 60 * S)))

    assert answer.expires_us == BEGIN_US + 120 * S - 1
    assert too_late.reason is Reason.RESERVATION_EXPIRED


async def test_all_that_happens_to_a_hold_in_one_batch_comes_out_as_one_after_the_other(
    ledger: Ledger,
) -> None:
    async with running(ledger, Clock(BEGIN_US)) as engine:
        await fill(engine)
        names = [held(await engine.authorize(leads(f"old-{n}"))) for n in range(4)]
        twice, charged, given_back, alone = names

        answers = await engine.batch(
            [
                Extend(twice, HOUR_US),
                Extend(twice, 2 * HOUR_US),
                Extend(twice, HOUR_US),
                Extend(charged, HOUR_US),
                Commit(charged, http_status=200),
                Extend(charged, 2 * HOUR_US),
                Extend(given_back, HOUR_US),
                Release(given_back),
                leads("new"),
                leads("new"),
            ]
        )

        assert all(isinstance(each, Extended) for each in (*answers[:4], answers[6]))
        assert isinstance(answers[5], Refused)
        assert answers[5].reason is Reason.ALREADY_COMMITTED
        assert isinstance(answers[4], Settled)
        assert not answers[4].late
        hours = 3_600
        assert deadlines(ledger) == [
            (2 * hours, 2 * hours),
            (hours, None),
            (hours, None),
            (60, 60),
            (60, 60),
        ]
        assert ledger.states() == {HELD: 3, COMMITTED: 1, RELEASED: 1}
        for name in (twice, alone):
            await engine.commit(Commit(name, http_status=200))
    assert ledger.number("SELECT count(*) FROM hold") == 1
    assert ledger.findings() == []


async def test_a_hold_that_is_made_and_extended_in_one_batch_has_one_row(ledger: Ledger) -> None:
    """Nobody knows a reservation's name before it is answered, but ids count up while the clock stands."""
    async with running(ledger, Clock(BEGIN_US)) as engine:
        await fill(engine)
        account_key, last_id = held(await engine.authorize(leads("seen")))
        kept, charged = [ReservationName(account_key, last_id + n) for n in (1, 2)]

        answers = await engine.batch(
            [
                leads("kept"),
                Extend(kept, HOUR_US),
                leads("charged"),
                Extend(charged, HOUR_US),
                Commit(charged, http_status=200),
            ]
        )

    assert [type(each) for each in answers] == [Authorized, Extended, Authorized, Extended, Settled]
    assert deadlines(ledger) == [(60, 60), (3_600, 3_600), (3_600, None)]
    assert ledger.states() == {HELD: 2, COMMITTED: 1}
    assert ledger.findings() == []


async def test_an_expiry_and_its_late_window_count_from_the_last_deadline(ledger: Ledger) -> None:
    clock = Clock(BEGIN_US)
    settings = EngineSettings(late_window_us=HOUR_US)
    async with running(ledger, clock, settings) as engine:
        await fill(engine, credits=20)
        first, second = [held(await engine.authorize(leads(each))) for each in "ab"]
        for name in (first, second):
            await engine.extend(Extend(name, DAY_US))

        clock.now_us += DAY_US - 1
        await engine.sweep()
        denied = await engine.authorize(leads("c"))
        assert not isinstance(denied, Authorized)
        clock.now_us += 1
        overview = await engine.overview(GetOverview(ACCOUNT))
        assert (overview.balance.held, overview.total.expired) == (0, 2)
        await engine.sweep()
        assert ledger.states() == {EXPIRED: 2}
        assert ledger.rows(
            "SELECT hour, requests FROM usage_hour WHERE kind = :kind", kind=UsageKind.EXPIRED
        ) == [((BEGIN_US + DAY_US) // HOUR_US, 2)]

        clock.now_us += HOUR_US - 1
        late = await engine.commit(Commit(first, http_status=200))
        clock.now_us += 1
        too_late = await refused(engine.commit(Commit(second, http_status=200)))

    assert late.late
    assert too_late.reason is Reason.RESERVATION_EXPIRED
    assert ledger.entries()[LATE_CHARGE] == (1, -10)
    assert ledger.findings() == []


async def test_a_blocked_account_extends_what_it_holds(ledger: Ledger) -> None:
    async with running(ledger, Clock(BEGIN_US)) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r")))
        await engine.update_account(UpdateAccount(ACCOUNT, "block", state=AccountState.BLOCKED))

        answer = await engine.extend(Extend(name, HOUR_US))

    assert answer.expires_us == BEGIN_US + HOUR_US


async def test_it_counts_in_the_window_that_authorized_it_however_long_it_lasts(
    ledger: Ledger,
) -> None:
    clock = Clock(BEGIN_US)
    daily = Limit(0, "daily", LimitUnit.REQUESTS, LimitWindow.DAY, 1, "", "", "UTC", enforce=True)
    async with running(ledger, clock) as engine:
        await fill(engine)
        await engine.update_account(UpdateAccount(ACCOUNT, "limit", limits=(daily,)))
        name = held(await engine.authorize(leads("r")))
        windows = ledger.rows("SELECT * FROM limit_window")

        await engine.extend(Extend(name, DAY_US))

        assert ledger.rows("SELECT * FROM limit_window") == windows
        clock.now_us += DAY_US - 1
        held(await engine.authorize(leads("next day")))
        await engine.commit(Commit(name, http_status=200))
    assert ledger.rows("SELECT used, held FROM limit_window ORDER BY start_us") == [(1, 0), (0, 1)]
    assert ledger.findings() == []


async def test_a_hold_of_a_week_is_neither_swept_nor_moved_out(ledger: Ledger) -> None:
    clock = Clock(BEGIN_US)
    settings = EngineSettings(retention_us=DAY_US)
    async with running(ledger, clock, settings) as engine:
        await fill(engine)
        name = held(await engine.authorize(leads("r", hold_us=DAY_US)))
        for _ in range(7):
            clock.now_us += DAY_US - 1
            await engine.extend(Extend(name, DAY_US))
            await engine.sweep()
            await engine.move_out()
        assert ledger.states() == {HELD: 1}

        await engine.commit(Commit(name, http_status=200))
        clock.now_us += DAY_US
        await engine.move_out()

    assert ledger.states() == {}
    assert ledger.findings() == []


async def test_another_server_ends_it_only_at_the_last_deadline(ledger: Ledger) -> None:
    clock = Clock(BEGIN_US)
    async with running(ledger, clock) as ours, running(ledger, clock) as theirs:
        await fill(ours)
        name = held(await ours.authorize(leads("r")))
        await asyncio.gather(
            *[engine.extend(Extend(name, HOUR_US)) for engine in (ours, theirs) * 8]
        )
        clock.now_us += HOUR_US - 1
        await theirs.sweep()
        assert ledger.states() == {HELD: 1}

        clock.now_us += 1
        await theirs.sweep()

    assert ledger.states() == {EXPIRED: 1}
    assert ledger.number("SELECT count(*) FROM hold") == 0
    assert ledger.findings() == []
