"""Refunds and voids over gRPC: back to the grants that paid, in reverse, and never more than was charged."""

import grpc
import pytest

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, IN_2040_S, call, hold, open_account
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import admin_pb2

KIND = admin_pb2.Entry.Kind


async def charge(server: Running, request_id: str) -> str:
    reservation_id = await hold(server, request_id)
    await call(server, "Commit", reservation_id=reservation_id)
    return reservation_id


async def remaining(server: Running) -> dict[str, int]:
    overview = await call(server, "GetOverview")
    return {grant.note: grant.remaining for grant in overview.grants}


async def journal(server: Running) -> list[tuple[str, int, str]]:
    page = await call(server, "ListEntries")
    return [(KIND.Name(each.kind)[5:], each.credits, each.note) for each in page.entries]


async def two_grants(server: Running) -> str:
    """An account whose charge of 10 was paid by two grants: 4 by the first, 6 by the second."""
    await open_account(server, credits=4)
    await call(server, "GrantCredits", credits=20, priority=1, note="second", request_id="second")
    return await charge(server, "paid by two")


async def test_a_refund_goes_back_to_the_grants_that_paid_in_reverse(server: Running) -> None:
    reservation_id = await two_grants(server)
    assert await remaining(server) == {"second": 14}

    first = await call(
        server, "Refund", reservation_id=reservation_id, credits=5, note="bad data", request_id="1"
    )
    assert (first.credits, first.balance.available, first.grant_id) == (5, 19, "")
    assert await remaining(server) == {"second": 19}

    rest = await call(server, "Refund", reservation_id=reservation_id, request_id="2")
    assert (rest.credits, rest.balance.available) == (5, 24)
    assert await remaining(server) == {"": 4, "second": 20}
    assert (await journal(server))[-2:] == [("REFUND", 5, "bad data"), ("REFUND", 5, "")]
    overview = await call(server, "GetOverview")
    assert (overview.total.credits, overview.total.refunded_credits) == (10, 10)
    assert overview.lifetime_credits == 0


async def test_a_refund_is_done_once_and_never_exceeds_the_charge(server: Running) -> None:
    reservation_id = await two_grants(server)
    for replayed in (False, True):
        again = await call(server, "Refund", reservation_id=reservation_id, credits=7)
        assert (again.credits, again.replayed, again.balance.available) == (7, replayed, 21)

    other = await refusal_of(call(server, "Refund", reservation_id=reservation_id, credits=6))
    assert (other.reason, other.fields) == ("IDEMPOTENCY_KEY_REUSED", ["credits"])
    too_much = await refusal_of(
        call(server, "Refund", reservation_id=reservation_id, credits=4, request_id="more")
    )
    assert too_much.code is grpc.StatusCode.FAILED_PRECONDITION
    assert too_much.reason == "REFUND_EXCEEDS_CHARGE"
    assert "3 are left to refund" in too_much.message

    await call(server, "Refund", reservation_id=reservation_id, request_id="the rest")
    nothing = await refusal_of(
        call(server, "Refund", reservation_id=reservation_id, request_id="nothing")
    )
    assert nothing.reason == "REFUND_EXCEEDS_CHARGE"


@pytest.mark.parametrize("end", ["Release", None])
async def test_what_charged_nothing_cannot_be_refunded(server: Running, end: str | None) -> None:
    await open_account(server)
    reservation_id = await hold(server)
    if end:
        await call(server, end, reservation_id=reservation_id)

    refusal = await refusal_of(call(server, "Refund", reservation_id=reservation_id))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "NOT_COMMITTED"


async def test_a_refund_of_a_reservation_that_is_not_there_is_refused(server: Running) -> None:
    await open_account(server)

    for name in ("1a2b-3c4d", "never given"):
        refusal = await refusal_of(call(server, "Refund", reservation_id=name))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "RESERVATION_NOT_FOUND",
        )


async def test_a_void_takes_back_what_is_left_and_what_comes_back_later(server: Running) -> None:
    await open_account(server)
    grant_id = (await call(server, "GetOverview")).grants[0].grant_id
    paid, held = await charge(server, "paid"), await hold(server, "held")

    answer = await call(server, "VoidGrant", grant_id=grant_id, note="a mistake")
    assert (answer.grant.grant_id, answer.grant.remaining, answer.replayed) == (grant_id, 0, False)
    assert (answer.balance.available, answer.balance.held) == (0, 10)
    again = await call(server, "VoidGrant", grant_id=grant_id, note="a mistake")
    assert (again.grant, again.replayed) == (answer.grant, True)

    await call(server, "Release", reservation_id=held)
    lost = await call(server, "Refund", reservation_id=paid, credits=3)
    assert lost.balance.available == 0
    assert (await journal(server))[-4:] == [
        ("GRANT_VOIDED", -80, "a mistake"),
        ("GRANT_VOIDED", -10, ""),
        ("REFUND", 3, ""),
        ("GRANT_VOIDED", -3, ""),
    ]

    kept = await call(
        server,
        "Refund",
        reservation_id=paid,
        expire_time={"seconds": IN_2040_S},
        note="kept",
        request_id="kept",
    )
    assert (kept.credits, kept.balance.available) == (7, 7)
    (grant,) = (await call(server, "GetOverview")).grants
    assert (grant.grant_id, grant.credits, grant.note) == (kept.grant_id, 7, "kept")
    assert grant.expire_time.seconds == IN_2040_S


async def test_a_grant_of_another_account_is_not_found(server: Running) -> None:
    await open_account(server)
    await call(server, "CreateAccount")
    other = await call(server, "GrantCredits", account_id="other", request_id="g")

    for account_id, grant_id in [
        (ACCOUNT, other.grant.grant_id),
        (ACCOUNT, "1a"),
        (ACCOUNT, "no grant"),
    ]:
        refusal = await refusal_of(
            call(server, "VoidGrant", account_id=account_id, grant_id=grant_id)
        )
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "GRANT_NOT_FOUND")
    nobody = await refusal_of(call(server, "VoidGrant", account_id="nobody"))
    assert nobody.reason == "ACCOUNT_NOT_FOUND"
