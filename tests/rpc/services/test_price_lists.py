"""Price lists of accounts over gRPC: published by name, assigned now and later, shown, and repeated."""

import time
from functools import partial
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import Running
from tests.rpc.requests import IN_2001_S, IN_2040_S, PRICES, call, hold, open_account, pages_of
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import admin_pb2, ledger_pb2

LATER = {"seconds": IN_2040_S}
PARTNER: dict[str, Any] = {
    "name": "partner",
    "prices": [
        {"method": "GET", "path": "/v1/{what}", "credits": 4},
        {"method": "POST", "path": "/v1/track", "credits": 2},
    ],
    "unlisted": "UNLISTED_DENIED",
}


async def publish(server: Running, prices: dict[str, Any], request_id: str = "publish") -> Any:
    answer = await call(server, "PublishPrices", prices=prices, request_id=request_id)
    return answer.prices


async def move(server: Running, name: str, request_id: str = "move", **more: Any) -> Any:
    changes = {"display_name": None, "price_list": name, "request_id": request_id}
    return (await call(server, "UpdateAccount", **changes, **more)).account


async def test_an_account_pays_by_its_list_alone(server: Running) -> None:
    await open_account(server)
    published = await publish(server, PARTNER)
    assert (published.version, published.name) == (2, "partner")
    first = await hold(server, "before")
    account = await move(server, "partner")
    assert account.price_list == "partner"
    assert account.HasField("price_list_effective_time")

    answer = await call(server, "Authorize", request_id="after")
    denied = await call(server, "Authorize", request_id="other", path="/v2/free")

    assert (answer.reservation.credits, answer.reservation.price_version) == (4, 2)
    assert denied.denial.reason == ledger_pb2.DENIAL_REASON_ENDPOINT_NOT_LISTED
    assert denied.denial.message == "price list partner does not name GET /v2/free"
    charged = [
        (await call(server, "Commit", reservation_id=each)).credits
        for each in (first, answer.reservation.reservation_id)
    ]
    assert charged == [10, 4]
    # Endpoints are counted as the list wrote them by which they were priced.
    await server.engine.flush_counts()
    overview = await call(server, "GetOverview")
    assert [(each.method, each.path, each.usage.credits) for each in overview.endpoints] == [
        ("GET", "/v1/leads", 10),
        ("GET", "/v1/{what}", 4),
        ("*", "/**", 0),
    ]
    assert (overview.prices.version, overview.prices.name) == (2, "partner")
    assert overview.prices.effective_time == account.price_list_effective_time


async def test_an_account_may_be_opened_on_a_list(server: Running) -> None:
    await publish(server, PRICES, "default")
    await publish(server, PARTNER)

    opened = await call(
        server, "CreateAccount", price_list="partner", price_list_effective_time=LATER
    )
    again = await call(
        server, "CreateAccount", price_list="partner", price_list_effective_time=LATER
    )

    assert opened == again
    account = opened.account
    assert account.price_list == ""
    assert not account.HasField("price_list_effective_time")
    assert [
        (each.price_list, each.effective_time.seconds) for each in account.upcoming_price_lists
    ] == [("partner", IN_2040_S)]


async def test_a_change_for_later_is_shown_with_its_time(server: Running) -> None:
    await open_account(server)
    await publish(server, PARTNER)

    changed = await move(server, "partner", price_list_effective_time=LATER)

    seen = (await call(server, "GetAccount")).account
    assert seen == changed
    listed = (await call(server, "ListAccounts")).accounts
    assert list(listed) == [seen]
    overview = await call(server, "GetOverview")
    assert overview.prices.version == 1
    (upcoming,) = overview.upcoming_prices
    assert (upcoming.version, upcoming.name, upcoming.effective_time.seconds) == (
        2,
        "partner",
        IN_2040_S,
    )
    assert (await call(server, "Authorize")).reservation.credits == 10

    # The present list, named again, takes it back.
    back = await move(server, "", "back")
    assert not back.upcoming_price_lists
    assert not (await call(server, "GetOverview")).upcoming_prices


async def test_a_repeat_answers_with_the_account_as_it_is_now(server: Running) -> None:
    await open_account(server)
    await publish(server, PARTNER)
    now_s = int(time.time()) + 1
    first = await move(server, "partner", price_list_effective_time={"seconds": now_s + 3600})
    before = server.rows()

    again = await move(server, "partner", price_list_effective_time={"seconds": now_s + 3600})
    other = await refusal_of(
        call(server, "UpdateAccount", display_name=None, price_list="", request_id="move")
    )
    sooner = await refusal_of(
        call(
            server,
            "UpdateAccount",
            display_name=None,
            price_list="partner",
            request_id="move",
        )
    )

    assert again == first
    assert (other.reason, other.fields) == ("IDEMPOTENCY_KEY_REUSED", ["price_list"])
    assert "now for price_list (the default)" in other.message
    assert sooner.fields == ["price_list_effective_time"]
    assert server.rows() == before


async def test_what_cannot_be_assigned_is_refused_and_nothing_changes(server: Running) -> None:
    await open_account(server)
    await publish(server, PARTNER | {"effective_time": LATER})
    before = server.rows()

    unknown = await refusal_of(move(server, "nobody"))
    early = await refusal_of(move(server, "partner"))
    past = await refusal_of(move(server, "", price_list_effective_time={"seconds": IN_2001_S}))
    new = await refusal_of(call(server, "CreateAccount", price_list="nobody"))

    for refusal in (unknown, early, new):
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "PRICE_LIST_NOT_FOUND",
        )
    assert "there is no price list nobody in force" in unknown.message
    assert (past.reason, past.fields) == ("INVALID_FIELD", ["price_list_effective_time"])
    assert server.rows() == before
    assert (await move(server, "partner", price_list_effective_time=LATER)).upcoming_price_lists


async def test_the_order_of_refusals(server: Running) -> None:
    await open_account(server)
    past = {"seconds": IN_2001_S}

    refusals = [
        await refusal_of(call(server, "UpdateAccount", **changes))
        for changes in (
            {"account_id": "nobody", "price_list": "x", "price_list_effective_time": past},
            {"account_id": "nobody", "price_list": "x"},
            {"price_list": "x", "state": admin_pb2.ACCOUNT_STATE_CLOSED},
            {"state": admin_pb2.ACCOUNT_STATE_CLOSED},
        )
    ]

    assert [each.reason for each in refusals] == [
        "INVALID_FIELD",
        "ACCOUNT_NOT_FOUND",
        "PRICE_LIST_NOT_FOUND",
        "ACCOUNT_NOT_EMPTY",
    ]


async def test_the_name_is_part_of_a_publication(server: Running) -> None:
    await publish(server, PRICES)

    again = await call(server, "PublishPrices", request_id="publish")
    refusal = await refusal_of(publish(server, PRICES | {"name": "partner"}))

    assert again.replayed
    assert refusal.fields == ["prices.name"]


async def test_lists_are_listed_by_name(server: Running) -> None:
    await publish(server, PRICES, "1")
    await publish(server, PARTNER, "2")
    await publish(server, PRICES | {"effective_time": LATER}, "3")
    await publish(server, PARTNER | {"effective_time": LATER}, "4")

    async def versions(**query: Any) -> list[int]:
        pages = await pages_of(partial(call, server, "ListPrices"), page_size=1, **query)
        return [each.version for page in pages for each in page.price_lists]

    assert await versions() == [4, 3, 2, 1]
    assert await versions(name="") == [3, 1]
    assert await versions(name="partner") == [4, 2]
    assert await versions(name="nobody") == []
    newest = (await call(server, "ListPrices")).price_lists[0]
    assert (newest.name, newest.effective_time.seconds) == ("partner", IN_2040_S)


@pytest.mark.parametrize("name", ["", "partner"])
async def test_two_names_may_begin_at_one_moment(server: Running, name: str) -> None:
    await open_account(server)
    at = {"seconds": int(time.time()) + 3_600}
    for number, each in enumerate([PRICES, PARTNER, PRICES, PARTNER]):
        await publish(server, each | {"effective_time": at}, f"p-{number}")
    if name:
        await move(server, name, price_list_effective_time=at)

    overview = await call(server, "GetOverview")

    (upcoming,) = overview.upcoming_prices
    assert upcoming.version == (5 if name else 4)
