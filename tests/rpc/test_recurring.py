"""Recurring grants over gRPC: made, shown with what comes next, ended, and refused with a reason."""

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
