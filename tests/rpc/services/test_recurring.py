"""Recurring grants over gRPC: made, shown with what comes next, ended, and refused with a reason."""

import time

import grpc

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, IN_2001_S, IN_2040_S, call, open_account
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import admin_pb2, ledger_pb2

MONTH = ledger_pb2.RecurringGrant.PERIOD_MONTH
YEAR = ledger_pb2.RecurringGrant.PERIOD_YEAR
PLAN = {
    "anchor": {"seconds": IN_2001_S},
    "time_zone": "Europe/Berlin",
    "rollover_max": 20,
    "priority": 3,
    "note": "plan M",
    "end_time": {"seconds": IN_2040_S},
}

ZONED = {"time_zone": "Europe/Berlin"}


async def test_it_is_answered_as_it_was_made_and_shown_everywhere(server: Running) -> None:
    await open_account(server)

    answer = await call(server, "CreateRecurringGrant", **PLAN)

    made = answer.recurring_grant
    assert (made.recurring_grant_id, made.credits, made.period) == ("1", 50, MONTH)
    assert (made.time_zone, made.rollover_max, made.priority) == ("Europe/Berlin", 20, 3)
    assert (made.note, made.anchor.seconds, made.end_time.seconds) == (
        "plan M",
        IN_2001_S,
        IN_2040_S,
    )
    assert (answer.balance.available, answer.replayed) == (150, False)
    account = (await call(server, "GetAccount")).account
    overview = await call(server, "GetOverview")
    assert list(account.recurring_grants) == [made] == list(overview.recurring_grants)
    grant = overview.grants[-1]
    assert (grant.recurring_grant_id, grant.rolled_over, grant.note) == ("1", False, "plan M")
    assert grant.expire_time == made.next_time
    assert overview.grants[0].recurring_grant_id == ""


async def test_the_journal_names_the_recurring_grant(server: Running) -> None:
    await open_account(server)
    await call(server, "CreateRecurringGrant")

    entries = (await call(server, "ListEntries")).entries

    assert [each.recurring_grant_id for each in entries] == ["", "1"]
    assert not any(each.rolled_over for each in entries)


async def test_the_defaults_are_now_utc_no_roll_over_and_no_end(server: Running) -> None:
    await open_account(server)

    made = (await call(server, "CreateRecurringGrant")).recurring_grant

    assert made.anchor == made.create_time
    assert (made.time_zone, made.rollover_max, made.HasField("end_time")) == ("UTC", 0, False)


async def test_both_calls_can_be_repeated(server: Running) -> None:
    await open_account(server)
    first = await call(server, "CreateRecurringGrant")
    ended = await call(server, "EndRecurringGrant")

    again = await call(server, "CreateRecurringGrant")
    ended_again = await call(server, "EndRecurringGrant")
    other = await refusal_of(call(server, "CreateRecurringGrant", period=YEAR))
    other_end = await refusal_of(call(server, "EndRecurringGrant", end_time={"seconds": IN_2040_S}))

    assert (again.recurring_grant, again.replayed) == (first.recurring_grant, True)
    assert (ended.replayed, ended_again.replayed) == (False, True)
    assert ended_again.end_time == ended.end_time
    assert [each.reason for each in (other, other_end)] == ["IDEMPOTENCY_KEY_REUSED"] * 2
    assert (other.fields, other_end.fields) == (["period"], ["end_time"])
    assert ended_again.balance.available == 150


async def test_an_end_can_be_moved_until_it_has_come(server: Running) -> None:
    await open_account(server)
    await call(server, "CreateRecurringGrant", **PLAN)
    await call(server, "EndRecurringGrant", end_time={"seconds": IN_2040_S + 1})
    moved = (await call(server, "GetAccount")).account.recurring_grants[0]
    assert moved.end_time.seconds == IN_2040_S + 1

    now = await call(server, "EndRecurringGrant", request_id="now")
    late = await call(
        server, "EndRecurringGrant", end_time={"seconds": IN_2040_S}, request_id="late"
    )

    assert late.end_time == now.end_time
    kept = (await call(server, "GetAccount")).account.recurring_grants[0]
    assert (kept.end_time, kept.HasField("next_time")) == (now.end_time, False)
    assert not (await call(server, "GetOverview")).recurring_grants


async def test_what_is_not_there_is_not_found(server: Running) -> None:
    await open_account(server)

    refusals = [
        await refusal_of(call(server, "EndRecurringGrant", recurring_grant_id=name))
        for name in ("1", "a", "9" * 20, "01")
    ]
    nobody = await refusal_of(call(server, "CreateRecurringGrant", account_id="nobody"))

    assert {each.reason for each in refusals} == {"RECURRING_GRANT_NOT_FOUND"}
    assert {each.code for each in refusals} == {grpc.StatusCode.NOT_FOUND}
    assert refusals[1].message == f"account {ACCOUNT} has no recurring grant a"
    assert nobody.reason == "ACCOUNT_NOT_FOUND"


async def test_closing_ends_it_and_a_closed_account_gets_none(server: Running) -> None:
    await call(server, "CreateAccount", account_id=ACCOUNT)
    await call(server, "CreateRecurringGrant", anchor={"seconds": IN_2040_S})
    closed = admin_pb2.ACCOUNT_STATE_CLOSED
    account = (await call(server, "UpdateAccount", state=closed)).account

    refusal = await refusal_of(call(server, "CreateRecurringGrant", request_id="other"))

    assert not account.recurring_grants[0].HasField("next_time")
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ACCOUNT_CLOSED",
    )


async def test_at_most_twenty_are_there(server: Running) -> None:
    await open_account(server)
    for number in range(20):
        await call(server, "CreateRecurringGrant", request_id=f"plan-{number}")

    refusal = await refusal_of(call(server, "CreateRecurringGrant", request_id="one more"))

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOO_MANY_RECURRING_GRANTS",
    )
    await call(server, "EndRecurringGrant", recurring_grant_id="20")
    answer = await call(server, "CreateRecurringGrant", request_id="one more")
    assert answer.recurring_grant.recurring_grant_id == "21"


async def test_a_plan_is_replaced_now_in_proportion(server: Running) -> None:
    """The period began when the plan was made, a moment ago: nearly all of it is left."""
    await open_account(server)
    made = (await call(server, "CreateRecurringGrant", period=YEAR, **ZONED)).recurring_grant

    answer = await call(server, "ReplaceRecurringGrant", rollover_max=20, priority=3, note="plan L")

    new = answer.recurring_grant
    assert (answer.voided_credits, answer.granted_credits, answer.replayed) == (49, 149, False)
    assert answer.balance.available == 100 + 1 + 149
    assert (new.recurring_grant_id, new.credits, new.period) == ("2", 150, YEAR)
    assert (new.anchor, new.time_zone, new.next_time) == (
        made.anchor,
        "Europe/Berlin",
        made.next_time,
    )
    assert (new.rollover_max, new.priority, new.note) == (20, 3, "plan L")
    account = (await call(server, "GetAccount")).account
    overview = await call(server, "GetOverview")
    assert [each.recurring_grant_id for each in account.recurring_grants] == ["1", "2"]
    assert account.recurring_grants[0].end_time == answer.end_time == new.create_time
    assert list(overview.recurring_grants) == [new]
    assert sorted(each.credits for each in overview.grants if each.recurring_grant_id) == [50, 149]
    voided, given = (await call(server, "ListEntries")).entries[-2:]
    assert (voided.kind, voided.credits) == (admin_pb2.Entry.KIND_GRANT_VOIDED, -49)
    assert (voided.recurring_grant_id, given.recurring_grant_id) == ("1", "2")
    assert (voided.note, given.note, given.credits) == ("plan L", "plan L", 149)


async def test_a_plan_is_replaced_at_its_next_period(server: Running) -> None:
    await open_account(server)
    made = (await call(server, "CreateRecurringGrant")).recurring_grant

    answer = await call(server, "ReplaceRecurringGrant", when=2, period=YEAR)

    assert (answer.voided_credits, answer.granted_credits) == (0, 0)
    assert answer.end_time == answer.recurring_grant.next_time == made.next_time
    assert answer.recurring_grant.anchor == made.next_time
    assert answer.balance.available == 150


async def test_a_replacement_can_be_repeated_and_is_done_once(server: Running) -> None:
    await open_account(server)
    await call(server, "CreateRecurringGrant", **ZONED)
    first = await call(server, "ReplaceRecurringGrant", period=YEAR, note="plan L")

    again = await call(server, "ReplaceRecurringGrant", period=YEAR, note="plan L", when=1)
    others = [
        await refusal_of(call(server, "ReplaceRecurringGrant", **({"period": YEAR} | change)))
        for change in (
            {"note": "plan S"},
            {"note": "plan L", "credits": 151},
            {"note": "plan L", "period": None},
            {"note": "plan L", "when": 2},
            {"note": "plan L", "recurring_grant_id": "2"},
        )
    ]

    assert (first.replayed, again.replayed) == (False, True)
    first.replayed = True
    assert again == first
    assert {each.reason for each in others} == {"IDEMPOTENCY_KEY_REUSED"}
    assert [each.fields for each in others] == [
        ["note"],
        ["credits"],
        ["period"],
        ["when"],
        ["recurring_grant_id"],
    ]


async def test_what_cannot_be_replaced_is_refused_with_its_reason(server: Running) -> None:
    await open_account(server)
    await call(server, "CreateRecurringGrant")
    await call(server, "EndRecurringGrant")
    soon = {"seconds": int(time.time()) + 3_600}
    await call(server, "CreateRecurringGrant", period=YEAR, end_time=soon, request_id="last")

    ended = await refusal_of(call(server, "ReplaceRecurringGrant"))
    last = await refusal_of(call(server, "ReplaceRecurringGrant", recurring_grant_id="2", when=2))
    unknown = [
        await refusal_of(call(server, "ReplaceRecurringGrant", recurring_grant_id=name))
        for name in ("7", "a", "01")
    ]
    nobody = await refusal_of(call(server, "ReplaceRecurringGrant", account_id="nobody"))

    assert (ended.code, ended.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert ended.message == "recurring_grant_id: has ended; create a recurring grant instead"
    assert (last.reason, last.fields) == ("INVALID_FIELD", ["when"])
    assert {each.reason for each in unknown} == {"RECURRING_GRANT_NOT_FOUND"}
    assert nobody.reason == "ACCOUNT_NOT_FOUND"
