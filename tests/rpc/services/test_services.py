"""Every method of both services, over a real port, on both databases."""

from functools import partial
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, IN_2040_S, PRICES, call, hold, open_account, pages_of
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import admin_pb2, ledger_pb2

DAY_S = 86_400


def balance(*, settled: int, held: int = 0, credit_limit: int = 0) -> ledger_pb2.Balance:
    available = settled + credit_limit - held
    return ledger_pb2.Balance(
        available=available, settled=settled, held=held, credit_limit=credit_limit
    )


# Accounts


async def test_an_account_is_created_with_nothing_in_it(server: Running) -> None:
    created = (await call(server, "CreateAccount", credit_limit=20)).account
    read = (await call(server, "GetAccount", account_id="other")).account

    assert created == read
    assert (read.account_id, read.display_name) == ("other", "Other")
    assert read.state == admin_pb2.ACCOUNT_STATE_ACTIVE
    assert read.balance == balance(settled=0, credit_limit=20)
    assert read.credit_limit == 20
    assert read.create_time.seconds > 0
    assert not read.limits


async def test_creating_an_account_again_is_the_same_account(server: Running) -> None:
    first = await call(server, "CreateAccount")
    again = await call(server, "CreateAccount")
    refusal = await refusal_of(call(server, "CreateAccount", request_id="another"))

    assert first == again
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ACCOUNT_EXISTS")
    assert refusal.metadata == {"account_id": "other"}


async def test_only_what_is_set_is_updated(server: Running) -> None:
    await open_account(server)

    renamed = (await call(server, "UpdateAccount")).account
    blocked = (
        await call(server, "UpdateAccount", request_id="u-2", display_name=None, state=2)
    ).account
    limited = (
        await call(server, "UpdateAccount", request_id="u-3", display_name="", credit_limit=7)
    ).account

    assert (renamed.display_name, renamed.state) == ("Acme", admin_pb2.ACCOUNT_STATE_ACTIVE)
    assert (blocked.display_name, blocked.state) == ("Acme", admin_pb2.ACCOUNT_STATE_BLOCKED)
    assert (limited.display_name, limited.state) == ("", admin_pb2.ACCOUNT_STATE_BLOCKED)
    assert limited.balance == balance(settled=100, credit_limit=7)


async def test_accounts_are_listed_by_id_page_by_page(server: Running) -> None:
    for name in ("b", "a_1", "a", "ab", "a:2", "A"):
        await call(server, "CreateAccount", account_id=name, request_id=f"create {name}")

    assert await listed(server) == [["A", "a", "a:2", "a_1", "ab", "b"]]
    assert await listed(server, page_size=4) == [["A", "a", "a:2", "a_1"], ["ab", "b"]]
    assert await listed(server, page_size=2, prefix="a") == [["a", "a:2"], ["a_1", "ab"]]
    assert await listed(server, prefix="a_") == [["a_1"]]
    assert await listed(server, prefix="c") == [[]]


async def listed(server: Running, **query: Any) -> list[list[str]]:
    pages = await pages_of(partial(call, server, "ListAccounts"), **query)
    return [[account.account_id for account in page.accounts] for page in pages]


@pytest.mark.parametrize("method", ["GetAccount", "UpdateAccount", "GrantCredits", "ListEntries"])
async def test_an_account_that_is_not_there_is_not_found(server: Running, method: str) -> None:
    refusal = await refusal_of(call(server, method, account_id="nobody"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    assert "nobody" in refusal.message


# Grants and prices


async def test_a_grant_is_answered_as_it_was_given(server: Running) -> None:
    await open_account(server, credits=5)
    fields = {"priority": 3, "note": "invoice 17", "expire_time": {"seconds": IN_2040_S}}

    first = await call(server, "GrantCredits", **fields)
    again = await call(server, "GrantCredits", **fields)

    assert (first.grant.credits, first.grant.remaining) == (50, 50)
    assert (first.grant.priority, first.grant.note) == (3, "invoice 17")
    assert first.grant.expire_time.ToSeconds() == IN_2040_S
    assert first.grant.grant_id
    assert first.balance == balance(settled=55)
    assert not first.replayed
    assert again.replayed
    assert again.grant == first.grant


async def test_a_grant_without_an_expiry_never_expires(server: Running) -> None:
    await open_account(server)

    answer = await call(server, "GrantCredits")

    assert not answer.grant.HasField("expire_time")


async def test_a_price_list_is_published_whole_and_once(server: Running) -> None:
    first = await call(server, "PublishPrices")
    again = await call(server, "PublishPrices")

    assert (first.prices.version, first.prices.note) == (1, PRICES["note"])
    assert first.prices.unlisted == first.prices.UNLISTED_FREE
    assert first.prices.effective_time.seconds > 0
    assert [(each.method, each.path, each.credits) for each in first.prices.prices] == [
        ("GET", "/v1/leads", 10),
        ("POST", "/v1/track", 1),
    ]
    assert first.prices.prices[0].note == "Per API call"
    assert list(first.prices.prices[1].charge_on) == ["2xx", "404"]
    assert not first.replayed
    assert again.replayed
    assert again.prices == first.prices


async def test_a_list_without_prices_is_published_where_that_is_meant(server: Running) -> None:
    empty: dict[str, Any] = {"prices": [], "unlisted": 2}

    refusal = await refusal_of(call(server, "PublishPrices", prices=empty))
    first = await call(server, "PublishPrices", prices=empty, allow_empty=True)
    priced = await call(server, "PublishPrices", request_id="p-2", allow_empty=True)
    again = await call(server, "PublishPrices", request_id="p-2")

    assert refusal.reason == "INVALID_FIELD"
    assert refusal.message == (
        "prices.prices: is empty, so nothing has a price; set allow_empty if that is meant"
    )
    assert (first.prices.version, list(first.prices.prices)) == (1, [])
    assert again.replayed
    assert again.prices == priced.prices


async def test_a_placeholder_of_another_system_is_refused_with_the_right_spelling(
    server: Running,
) -> None:
    prices = PRICES | {"prices": [{"method": "GET", "path": "/v1/:id", "credits": 1}]}

    refusal = await refusal_of(call(server, "PublishPrices", prices=prices))

    assert refusal.message == (
        'prices.prices[0].path: has ":id", which would be taken literally; write "{id}"'
    )


async def test_price_lists_are_listed_newest_first_page_by_page(server: Running) -> None:
    for version in range(1, 4):
        await call(server, "PublishPrices", request_id=f"p-{version}")

    first = await call(server, "ListPrices", page_size=2)
    second = await call(server, "ListPrices", page_size=2, page_token=first.next_page_token)

    assert [each.version for each in first.price_lists] == [3, 2]
    assert [each.version for each in second.price_lists] == [1]
    assert len(second.price_lists[0].prices) == 2
    assert second.next_page_token == ""


async def test_a_price_list_cannot_be_back_dated(server: Running) -> None:
    prices = PRICES | {"effective_time": {"seconds": 1_000_000_000}}

    refusal = await refusal_of(call(server, "PublishPrices", prices=prices))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "PRICES_BACKDATED"


# The life of a hold


async def test_a_price_is_held_and_then_charged(server: Running) -> None:
    await open_account(server)

    held = await call(server, "Authorize", hold={"seconds": 5, "nanos": 1_999})
    charged = await call(
        server, "Commit", reservation_id=held.reservation.reservation_id, http_status=204
    )

    assert held.WhichOneof("decision") == "reservation"
    assert held.reservation.state == ledger_pb2.RESERVATION_STATE_HELD
    assert (held.reservation.credits, held.reservation.price_version) == (10, 1)
    lasts_us = (
        held.reservation.expire_time.ToMicroseconds()
        - held.reservation.create_time.ToMicroseconds()
    )
    assert lasts_us == 5_000_001
    assert held.balance == balance(settled=100, held=10)
    assert not held.replayed
    assert charged == ledger_pb2.CommitResponse(
        state=ledger_pb2.RESERVATION_STATE_COMMITTED,
        outcome=ledger_pb2.OUTCOME_VALID_RESPONSE,
        credits=10,
        balance=balance(settled=90),
    )


async def test_asking_again_holds_nothing_more(server: Running) -> None:
    await open_account(server)

    first = await call(server, "Authorize")
    again = await call(server, "Authorize")

    assert again.replayed
    assert again.reservation == first.reservation
    assert again.balance == first.balance


async def test_committing_again_charges_nothing_more(server: Running) -> None:
    await open_account(server)
    reservation_id = await hold(server)

    first = await call(server, "Commit", reservation_id=reservation_id, http_status=200)
    again = await call(server, "Commit", reservation_id=reservation_id, http_status=204)

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.credits, again.balance) == (10, balance(settled=90))


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"http_status": 503}, ledger_pb2.OUTCOME_SERVER_ERROR),
        ({"http_status": None, "outcome": 3}, ledger_pb2.OUTCOME_AUTHENTICATION_FAILED),
    ],
)
async def test_a_response_that_is_not_valid_costs_nothing(
    server: Running, result: dict[str, Any], outcome: ledger_pb2.Outcome.ValueType
) -> None:
    await open_account(server)
    reservation_id = await hold(server)

    answer = await call(server, "Commit", reservation_id=reservation_id, **result)

    assert answer == ledger_pb2.CommitResponse(
        state=ledger_pb2.RESERVATION_STATE_RELEASED, outcome=outcome, balance=balance(settled=100)
    )


async def test_a_hold_is_given_back(server: Running) -> None:
    await open_account(server)
    reservation_id = await hold(server)

    first = await call(server, "Release", reservation_id=reservation_id)
    again = await call(server, "Release", reservation_id=reservation_id, outcome=7)
    refusal = await refusal_of(call(server, "Commit", reservation_id=reservation_id))

    assert first == ledger_pb2.ReleaseResponse(
        state=ledger_pb2.RESERVATION_STATE_RELEASED, balance=balance(settled=100)
    )
    assert again.replayed
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ALREADY_RELEASED",
    )
    assert refusal.metadata == {"reservation_id": reservation_id, "state": "RELEASED"}


async def test_a_dry_run_holds_nothing(server: Running) -> None:
    await open_account(server)
    before = server.rows()

    answer = await call(server, "Authorize", dry_run=True)

    assert answer.reservation.reservation_id == ""
    assert (answer.reservation.credits, answer.reservation.price_version) == (10, 1)
    assert answer.balance == balance(settled=100)
    assert server.rows() == before


async def test_an_endpoint_without_a_price_is_free(server: Running) -> None:
    await open_account(server)
    before = server.rows()

    answer = await call(server, "Authorize", path="/v1/status")

    assert answer == ledger_pb2.AuthorizeResponse(
        reservation=ledger_pb2.Reservation(), balance=balance(settled=100)
    )
    assert server.rows() == before


@pytest.mark.parametrize(
    ("given", "reason", "http_status", "credits"),
    [
        ({"account_id": "nobody"}, "ACCOUNT_NOT_FOUND", 403, 10),
        ({"account_id": "blocked"}, "ACCOUNT_BLOCKED", 403, 10),
        ({"path": "/v1/status"}, "ENDPOINT_NOT_LISTED", 404, 0),
        ({}, "INSUFFICIENT_CREDITS", 402, 10),
    ],
)
async def test_a_denial_is_an_answer(
    server: Running, given: dict[str, Any], reason: str, http_status: int, credits: int
) -> None:
    await open_account(server, credits=9)
    await call(server, "PublishPrices", prices=PRICES | {"unlisted": 2})
    await call(server, "CreateAccount", account_id="blocked")
    await call(server, "UpdateAccount", account_id="blocked", state=2)

    answer = await call(server, "Authorize", **given)

    assert answer.WhichOneof("decision") == "denial"
    assert ledger_pb2.DenialReason.Name(answer.denial.reason) == f"DENIAL_REASON_{reason}"
    assert (answer.denial.http_status, answer.denial.credits) == (http_status, credits)
    assert answer.denial.message
    assert not answer.denial.HasField("retry_after")
    assert answer.HasField("balance") == (reason != "ACCOUNT_NOT_FOUND")


async def test_a_request_id_that_was_used_for_something_else_is_refused(server: Running) -> None:
    await open_account(server)
    await call(server, "Authorize")

    refusal = await refusal_of(call(server, "Authorize", method="POST", path="/v1/track"))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    assert refusal.fields == ["method"]
    assert refusal.metadata == {"field": "method", "request_id": "r-1"}


@pytest.mark.parametrize("method", ["Commit", "Release", "Extend"])
@pytest.mark.parametrize("reservation_id", ["1a-2b", "r-7"])
async def test_a_reservation_that_is_not_there_is_not_found(
    server: Running, method: str, reservation_id: str
) -> None:
    refusal = await refusal_of(call(server, method, reservation_id=reservation_id))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    assert refusal.metadata == {"reservation_id": reservation_id}
    assert refusal.message.startswith(f"there is no reservation {reservation_id}")


# What is read


async def test_the_overview_adds_up(server: Running) -> None:
    await open_account(server)
    await call(server, "Commit", reservation_id=await hold(server, "h-1"))
    await call(server, "Commit", reservation_id=await hold(server, "h-2"), http_status=500)
    await hold(server, "h-3", method="POST", path="/v1/track")
    await call(server, "Authorize", request_id="free", path="/v1/free")
    await server.engine.flush_counts()
    later = PRICES | {"effective_time": {"seconds": IN_2040_S}}
    await call(server, "PublishPrices", prices=later)

    answer = await call(server, "GetOverview", granularity=2, time_zone="Europe/Berlin")

    outcomes = [ledger_pb2.OutcomeCount(outcome=ledger_pb2.OUTCOME_SERVER_ERROR, requests=1)]
    usage = ledger_pb2.Usage(requests=1, credits=10, released=1, released_by_outcome=outcomes)
    free = ledger_pb2.Usage(free_requests=1)
    assert (answer.account_id, answer.lifetime_credits) == (ACCOUNT, 10)
    assert answer.balance == balance(settled=90, held=1)
    whole = ledger_pb2.Usage(free_requests=1)
    whole.MergeFrom(usage)
    assert answer.total == whole
    assert [(each.method, each.path, each.usage) for each in answer.endpoints] == [
        ("GET", "/v1/leads", usage),
        ("*", "/**", free),
    ]
    assert 28 <= len(answer.series) <= 31
    assert sum(bucket.usage.credits for bucket in answer.series) == 10
    assert answer.start_time == answer.series[0].start_time
    assert answer.start_time.seconds <= answer.as_of.seconds < answer.end_time.seconds
    assert [(grant.credits, grant.remaining) for grant in answer.grants] == [(100, 89)]
    assert answer.prices.version == 1
    assert [each.version for each in answer.upcoming_prices] == [2]
    assert not answer.limits


async def test_the_overview_of_an_account_that_is_not_there_is_not_found(server: Running) -> None:
    refusal = await refusal_of(call(server, "GetOverview", account_id="nobody"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")


async def test_the_journal_is_listed_page_by_page(server: Running) -> None:
    await open_account(server)
    granted = await call(server, "GrantCredits", note="invoice 17")
    reservation_id = await hold(server)
    await call(server, "Commit", reservation_id=reservation_id)

    first = await call(server, "ListEntries", page_size=2)
    second = await call(server, "ListEntries", page_size=2, page_token=first.next_page_token)

    grant, charge = first.entries[1], second.entries[0]
    kinds = admin_pb2.Entry.Kind
    assert [each.sequence for each in (*first.entries, *second.entries)] == [1, 2, 3]
    assert second.next_page_token == ""
    assert (grant.kind, grant.credits, grant.settled) == (kinds.KIND_GRANT, 50, 150)
    assert (grant.grant_id, grant.note) == (granted.grant.grant_id, "invoice 17")
    assert (charge.kind, charge.credits, charge.settled) == (kinds.KIND_CHARGE, -10, 140)
    assert (charge.reservation_id, charge.price_version) == (reservation_id, 1)
    assert (charge.method, charge.path) == ("GET", "/v1/leads")
    assert not charge.grant_id


async def test_the_journal_is_read_for_a_period(server: Running) -> None:
    await open_account(server)
    now_s = (await call(server, "GetOverview")).as_of.seconds
    today = {"start_time": {"seconds": now_s - DAY_S}, "end_time": {"seconds": now_s + DAY_S}}
    before = {"end_time": {"seconds": now_s - DAY_S}}

    assert len((await call(server, "ListEntries", **today)).entries) == 1
    assert len((await call(server, "ListEntries", **before)).entries) == 0
