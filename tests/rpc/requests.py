"""Requests that are good in every field, by method; a test spoils what it is about."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from tests.rpc.conftest import Running
from tollkeeper.v1 import admin_pb2, events_pb2, ledger_pb2

IN_2001_S = 978_307_200
IN_2040_S = 2_208_988_800

ACCOUNT = "acme"
PRICES: dict[str, Any] = {
    "prices": [
        {"method": "GET", "path": "/v1/leads", "credits": 10, "note": "Per API call"},
        {"method": "POST", "path": "/v1/track", "credits": 1, "charge_on": ["2xx", "404"]},
    ],
    "note": "Credit costs per endpoint",
}

GOOD: dict[str, tuple[type[Message], dict[str, Any]]] = {
    "Authorize": (
        ledger_pb2.AuthorizeRequest,
        {"account_id": ACCOUNT, "method": "GET", "path": "/v1/leads", "request_id": "r-1"},
    ),
    "Commit": (ledger_pb2.CommitRequest, {"reservation_id": "", "http_status": 200}),
    "Release": (ledger_pb2.ReleaseRequest, {"reservation_id": ""}),
    "Extend": (ledger_pb2.ExtendRequest, {"reservation_id": "", "hold": {"seconds": 600}}),
    "GetOverview": (ledger_pb2.GetOverviewRequest, {"account_id": ACCOUNT}),
    "CreateAccount": (
        admin_pb2.CreateAccountRequest,
        {"account_id": "other", "display_name": "Other", "request_id": "r-2"},
    ),
    "GetAccount": (admin_pb2.GetAccountRequest, {"account_id": ACCOUNT}),
    "ListAccounts": (admin_pb2.ListAccountsRequest, {}),
    "UpdateAccount": (
        admin_pb2.UpdateAccountRequest,
        {"account_id": ACCOUNT, "display_name": "Acme", "request_id": "r-3"},
    ),
    "GrantCredits": (
        admin_pb2.GrantCreditsRequest,
        {"account_id": ACCOUNT, "credits": 50, "request_id": "r-4"},
    ),
    "CreateRecurringGrant": (
        admin_pb2.CreateRecurringGrantRequest,
        {"account_id": ACCOUNT, "credits": 50, "period": 3, "request_id": "r-8"},
    ),
    "EndRecurringGrant": (
        admin_pb2.EndRecurringGrantRequest,
        {"account_id": ACCOUNT, "recurring_grant_id": "1", "request_id": "r-9"},
    ),
    "ReplaceRecurringGrant": (
        admin_pb2.ReplaceRecurringGrantRequest,
        {"account_id": ACCOUNT, "recurring_grant_id": "1", "credits": 150, "request_id": "r-11"},
    ),
    "VoidGrant": (
        admin_pb2.VoidGrantRequest,
        {"account_id": ACCOUNT, "grant_id": "1", "request_id": "r-6"},
    ),
    "Debit": (
        admin_pb2.DebitRequest,
        {"account_id": ACCOUNT, "credits": 30, "request_id": "r-10"},
    ),
    "Refund": (admin_pb2.RefundRequest, {"reservation_id": "", "request_id": "r-7"}),
    "PublishPrices": (
        admin_pb2.PublishPricesRequest,
        {"prices": PRICES, "request_id": "r-5"},
    ),
    "ListPrices": (admin_pb2.ListPricesRequest, {}),
    "ListEntries": (admin_pb2.ListEntriesRequest, {"account_id": ACCOUNT}),
    "ExplainReservation": (admin_pb2.ExplainReservationRequest, {"reservation_id": ""}),
    "ListConsumption": (admin_pb2.ListConsumptionRequest, {}),
    "GetPlatformOverview": (admin_pb2.GetPlatformOverviewRequest, {}),
    "ListEvents": (events_pb2.ListEventsRequest, {}),
    "WatchEvents": (events_pb2.WatchEventsRequest, {}),
}


def request(method: str, /, **changes: Any) -> Any:
    """A good request with some fields changed, or left out where the change is None."""
    kind, fields = GOOD[method]
    return kind(**{name: value for name, value in (fields | changes).items() if value is not None})


async def call(server: Running, method: str, /, **changes: Any) -> Any:
    """Call a method with a request of the above; of several answers return the first."""
    stub = server.ledger if hasattr(server.ledger, method) else server.admin
    answering: Any = getattr(stub, method)(request(method, **changes))
    if method == "WatchEvents":
        first = await answering.read()
        answering.cancel()
        return first
    return await answering


async def pages_of(ask: Callable[..., Awaitable[Any]], **query: Any) -> list[Any]:
    """Ask for one page after the other until the last; `ask` is a `call` without its fields."""
    pages = [await ask(**query)]
    while token := pages[-1].next_page_token:
        pages.append(await ask(page_token=token, **query))
    return pages


async def open_account(server: Running, *, credits: int = 100) -> None:
    """Publish the prices, open the account and give it credits."""
    await call(server, "PublishPrices", request_id="setup-1")
    await call(server, "CreateAccount", account_id=ACCOUNT, request_id="setup-2")
    await call(server, "GrantCredits", credits=credits, request_id="setup-3")


async def hold(server: Running, request_id: str = "hold-1", **changes: Any) -> str:
    """Hold the price of one request; return the reservation's id."""
    answer = await call(server, "Authorize", request_id=request_id, **changes)
    reservation_id: str = answer.reservation.reservation_id
    assert reservation_id
    return reservation_id
