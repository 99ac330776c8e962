"""Debits over gRPC: taken back, told in the journal, repeatable, and refused with a reason."""

import grpc

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, call, hold, open_account
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import admin_pb2


async def test_it_is_taken_back_below_zero_and_the_journal_says_why(server: Running) -> None:
    await open_account(server)
    await call(server, "Commit", reservation_id=await hold(server))

    answer = await call(server, "Debit", credits=120, note="charge-back of invoice 7")

    assert (answer.credits, answer.replayed) == (120, False)
    assert (answer.balance.settled, answer.balance.available) == (-30, -30)
    entry = (await call(server, "ListEntries")).entries[-1]
    assert (entry.kind, entry.credits, entry.settled) == (admin_pb2.Entry.KIND_DEBIT, -120, -30)
    assert entry.note == "charge-back of invoice 7"
    assert (entry.grant_id, entry.reservation_id, entry.method) == ("", "", "")
    overview = await call(server, "GetOverview")
    assert (overview.total.credits, overview.lifetime_credits) == (10, 10)


async def test_it_can_be_repeated_and_is_done_once(server: Running) -> None:
    await open_account(server)
    await call(server, "Debit")
    await call(server, "GrantCredits")

    again = await call(server, "Debit")
    other = [
        await refusal_of(call(server, "Debit", **change))
        for change in ({"credits": 31}, {"note": "!"}, {"account_id": "other"})
    ]

    assert (again.credits, again.balance.settled, again.replayed) == (30, 120, True)
    assert {each.reason for each in other} == {"IDEMPOTENCY_KEY_REUSED"}
    assert [each.fields for each in other] == [["credits"], ["note"], ["account_id"]]


async def test_a_closed_account_is_debited_and_an_unknown_one_is_not_found(server: Running) -> None:
    await call(server, "CreateAccount", account_id=ACCOUNT)
    await call(server, "UpdateAccount", state=admin_pb2.ACCOUNT_STATE_CLOSED)

    answer = await call(server, "Debit")
    nobody = await refusal_of(call(server, "Debit", account_id="nobody", request_id="n"))

    assert answer.balance.settled == -30
    account = (await call(server, "GetAccount")).account
    assert account.state == admin_pb2.ACCOUNT_STATE_CLOSED
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
