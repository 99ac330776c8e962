"""Why was this charged: one call tells the whole life of a reservation, by either of its names."""

import grpc
import pytest
from sqlalchemy import text

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, call, hold, open_account
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import admin_pb2, ledger_pb2

KIND = admin_pb2.Entry.Kind
HERE = "ipv4:127.0.0.1"
DAILY = {"name": "daily", "unit": 1, "window": 4, "maximum": 500}


async def explain(server: Running, reservation_id: str) -> admin_pb2.ExplainReservationResponse:
    answer: admin_pb2.ExplainReservationResponse = await call(
        server, "ExplainReservation", reservation_id=reservation_id
    )
    return answer


def by_request(account_id: str) -> dict[str, object]:
    return {"request": {"account_id": account_id, "request_id": "denied"}}


async def charged(server: Running, request_id: str = "r-7", **how: object) -> str:
    reservation_id = await hold(server, request_id)
    await call(server, "Commit", reservation_id=reservation_id, **(how or {"http_status": 200}))
    return reservation_id


async def test_a_charge_is_told_from_its_authorization_to_its_refund(server: Running) -> None:
    await open_account(server, credits=7)
    await call(server, "UpdateAccount", credit_limit=50, limits={"limits": [DAILY]})
    reservation_id = await hold(server, "r-7", path="/v1/leads/?page=2", hold={"seconds": 30})
    await call(server, "Commit", reservation_id=reservation_id, http_status=203)
    await call(server, "Refund", reservation_id=reservation_id, credits=4, note="ticket 12")

    told = await explain(server, reservation_id)

    assert (told.reservation_id, told.account_id) == (reservation_id, ACCOUNT)
    assert (told.request_id, told.method, told.path) == ("r-7", "GET", "/v1/leads")
    assert told.hold.seconds == 30
    assert (told.credits, told.refunded_credits, told.http_status) == (10, 4, 203)
    assert (told.price.method, told.price.path, told.price.version) == ("GET", "/v1/leads", 1)
    assert told.price.note == "Credit costs per endpoint"
    assert told.price.effective_time.seconds
    assert told.state == ledger_pb2.RESERVATION_STATE_COMMITTED
    assert told.outcome == ledger_pb2.OUTCOME_VALID_RESPONSE
    assert (told.authorized_by, told.settled_by) == (HERE, HERE)
    moments = [each.ToMicroseconds() for each in (told.create_time, told.settle_time, told.as_of)]
    assert moments == sorted(moments)
    assert told.expire_time.ToMicroseconds() == moments[0] + 30_000_000
    assert [(each.credits, bool(each.grant_id)) for each in told.payments] == [
        (7, True),
        (3, False),
    ]
    (window,) = told.windows
    assert (window.limit.name, window.amount, window.over) == ("daily", 10, False)
    assert window.end_time.seconds - window.start_time.seconds == 86_400
    entries = [(KIND.Name(each.kind)[5:], each.credits, each.note) for each in told.entries]
    assert entries == [("CHARGE", -10, ""), ("REFUND", 4, "ticket 12")]
    assert {each.reservation_id for each in told.entries} == {reservation_id}
    words = [each.text.split()[0].rstrip(":") for each in told.timeline]
    assert words == ["authorized", "charged", "refunded"]
    assert not told.only_journal


async def test_a_gateways_own_name_finds_the_same(server: Running) -> None:
    await open_account(server)
    reservation_id = await charged(server, "r-7")
    key = {"account_id": ACCOUNT, "request_id": "r-7"}

    by_request = await call(server, "ExplainReservation", reservation_id=None, request=key)
    by_name = await explain(server, reservation_id)

    by_name.as_of.CopyFrom(by_request.as_of)
    assert by_request == by_name


async def test_an_outcome_has_no_status_and_a_hold_has_neither(server: Running) -> None:
    await open_account(server)
    held = await explain(server, await hold(server, "held"))
    failed = await explain(server, await charged(server, "failed", http_status=None, outcome=5))

    assert held.state == ledger_pb2.RESERVATION_STATE_HELD
    assert (held.outcome, held.http_status, held.settled_by) == (0, 0, "")
    assert not held.HasField("settle_time")
    assert not held.HasField("hold")
    assert failed.state == ledger_pb2.RESERVATION_STATE_RELEASED
    assert (failed.outcome, failed.http_status) == (ledger_pb2.OUTCOME_BLOCKED, 0)
    assert failed.settled_by == HERE
    assert not failed.entries


async def test_a_charge_whose_reservation_is_gone_is_told_by_the_journal(server: Running) -> None:
    await open_account(server)
    reservation_id = await charged(server)
    await call(server, "Refund", reservation_id=reservation_id, credits=1)
    before = await explain(server, reservation_id)
    with server.database.begin() as connection:
        connection.execute(text("DELETE FROM reservation"))

    told = await explain(server, reservation_id)

    assert told.only_journal
    assert (told.credits, told.refunded_credits, told.account_id) == (10, 1, ACCOUNT)
    assert told.entries == before.entries
    assert told.state == ledger_pb2.RESERVATION_STATE_COMMITTED
    assert told.price == before.price
    assert (told.request_id, told.method, told.authorized_by) == ("", "", "")
    made = told.create_time.ToMicroseconds()
    assert made == before.create_time.ToMicroseconds() // 1000 * 1000
    assert [each.text.split()[0] for each in told.timeline] == [
        *("authorized:", "charged:", "refunded:")
    ]


@pytest.mark.parametrize(
    ("named", "reason", "words"),
    [
        ({"reservation_id": "1-1"}, "RESERVATION_NOT_FOUND", "the journal has no charge of it"),
        ({"reservation_id": "nonsense"}, "RESERVATION_NOT_FOUND", "there is no reservation"),
        (by_request(ACCOUNT), "RESERVATION_NOT_FOUND", "was denied"),
        (by_request("nobody"), "ACCOUNT_NOT_FOUND", "there is no account nobody"),
    ],
)
async def test_what_is_not_known_is_not_found(
    server: Running, named: dict[str, object], reason: str, words: str
) -> None:
    await open_account(server, credits=1)
    await call(server, "Authorize", request_id="denied")

    refusal = await refusal_of(
        call(server, "ExplainReservation", **({"reservation_id": None} | named))
    )

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, reason)
    assert words in refusal.message
