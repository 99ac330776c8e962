"""Before the load: which endpoints are charged at what price, and accounts of the run with their credits."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import grpc

from tollkeeper.cli.client import CALL_TIMEOUT_S, Ledger, RequestT, ResponseT, failure_of
from tollkeeper.cli.failure import CommandError, Violation, Why, wrong_usage
from tollkeeper.cli.prices.price_lists import all_lists, compiled, from_message, holding_at
from tollkeeper.cli.times import now
from tollkeeper.core.pricing import paths
from tollkeeper.core.pricing.patterns import example_of
from tollkeeper.core.pricing.price_lists import ANY_METHOD, Price, PriceList
from tollkeeper.v1 import admin_pb2
from tollkeeper_loadtest.settings import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tollkeeper_loadtest.settings import LoadSettings

ENDPOINTS_CHOSEN = 8
"""Endpoints of the price list that are charged where none are named."""

_CALLS_IN_FLIGHT = 64


def endpoints_in_force(ledger: Ledger, names: Sequence[str]) -> tuple[tuple[Endpoint, ...], int]:
    """Return the endpoints to charge and the version of the list that prices them.

    Refuses where one is not priced: a load test publishes no list on a server that is not its own.
    """
    held = holding_at(all_lists(ledger), now())
    if held is None:
        raise CommandError(
            "no price list is in force, so every endpoint is free and there is nothing to hold; "
            "publish one with: tollkeeper prices publish FILE",
            reason=Why.NO_SUCH_PRICE_LIST,
        )
    prices = compiled(from_message(held))
    if names:
        return tuple(_named(prices, name) for name in names), held.version
    chosen = [
        endpoint for each in prices.prices if (endpoint := _of_price(prices, each)) is not None
    ]
    if not chosen:
        raise CommandError(
            f"price list version {held.version} is empty; publish one with prices",
            reason=Why.NO_SUCH_PRICE_LIST,
        )
    return tuple(chosen[:ENDPOINTS_CHOSEN]), held.version


def open_accounts(ledger: Ledger, settings: LoadSettings, step: Callable[[], None]) -> None:
    """Make the accounts of the run and give each its credits; `step` is called for each account."""
    page = ledger.call(
        ledger.admin.ListAccounts,
        admin_pb2.ListAccountsRequest(page_size=1, prefix=settings.prefix),
    )
    if page.accounts:
        raise wrong_usage(
            f"--run {settings.run}: there are accounts of a run of this name; choose another"
        )
    ids = [settings.account_id(number) for number in range(settings.accounts)]
    creating = (
        admin_pb2.CreateAccountRequest(
            account_id=each, display_name="load test", request_id=f"{each}-account"
        )
        for each in ids
    )
    _side_by_side(ledger, ledger.admin.CreateAccount, creating, lambda: None)
    granting = (
        admin_pb2.GrantCreditsRequest(
            account_id=each, credits=settings.credits, note="load test", request_id=f"{each}-grant"
        )
        for each in ids
    )
    _side_by_side(ledger, ledger.admin.GrantCredits, granting, step)


def _side_by_side(
    ledger: Ledger,
    method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT],
    requests: Iterable[RequestT],
    step: Callable[[], None],
) -> None:
    """Make many calls of a kind, some at a time."""
    running: deque[grpc.Future[ResponseT]] = deque()

    def take() -> None:
        try:
            running.popleft().result()
        except grpc.RpcError as error:
            raise failure_of(error, ledger.address) from None
        step()

    for request in requests:
        running.append(method.future(request, timeout=CALL_TIMEOUT_S))
        if len(running) >= _CALLS_IN_FLIGHT:
            take()
    while running:
        take()


def _wrong_endpoint(name: str, why: str) -> CommandError:
    return wrong_usage(f"--endpoint {name!r}: {why}", Violation("--endpoint", why))


def _named(prices: PriceList, name: str) -> Endpoint:
    method, _, path = name.partition(" ")
    try:
        price = prices.match(method, paths.parse(path))
    except ValueError as error:
        raise _wrong_endpoint(name, f"the path {error}") from None
    if price is None:
        raise _wrong_endpoint(
            name,
            "the price list in force does not name it, so it costs nothing and there is nothing to hold",
        )
    return _endpoint(method, path, price)


def _of_price(prices: PriceList, price: Price) -> Endpoint | None:
    """Return a request that a price is for; None where another price would win it."""
    path = f"/{'/'.join(map(example_of, price.segments))}"
    method = "GET" if price.method == ANY_METHOD else price.method
    won = prices.match(method, paths.parse(path))
    return _endpoint(method, path, price) if won == price else None


def _endpoint(method: str, path: str, price: Price) -> Endpoint:
    return Endpoint(method, path, price.method, price.path, price.credits, tuple(price.charge_on))
