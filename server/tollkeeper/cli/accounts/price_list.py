"""`tollkeeper account prices`: puts an account on a price list; and which one it pays by at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tollkeeper.cli import times
from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import CommandError, Why, wrong_usage
from tollkeeper.cli.options import (
    AccountId,
    Effective,
    Json,
    RequestId,
    Server,
    Zone,
    examples,
    new_request_id,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.screen import console, facts, moment, print_json
from tollkeeper.v1 import admin_pb2, ledger_pb2

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.v1 import prices_pb2

DEFAULT = "(default)"
"""What the default list, which has no name, is called for a person."""

commands = typer.Typer()


class AccountPrices(NamedTuple):
    """The list that an account pays by at a moment, and those that it will pay by after it."""

    prices: prices_pb2.PriceList
    to_come: list[prices_pb2.PriceList]


@commands.command(
    "prices",
    epilog=examples(
        "tollkeeper account prices acme partner",
        "tollkeeper account prices acme partner --effective 2027-01-01 --zone Europe/Berlin",
        "tollkeeper account prices acme --default",
    ),
)
def prices(
    account_id: AccountId,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The name of a price list.")
    ] = None,
    *,
    default: Annotated[
        bool, typer.Option("--default", help="Put it on the default list again.")
    ] = False,
    effective: Effective = times.NOW,
    zone: Zone = "UTC",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Put an account on a price list from a moment on; this replaces every later change.

    Open holds keep their price. `prices show --account` shows what the account pays.
    """
    if (name is not None) == default:
        raise wrong_usage("give the NAME of a price list, or --default")
    request_id = new_request_id(request_id)
    request = admin_pb2.UpdateAccountRequest(
        account_id=account_id,
        price_list=name or "",
        price_list_effective_time=times.parse_effective(effective, zone),
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.UpdateAccount, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    pairs = [("account", account_id), *pricing_facts(answer.account), ("request_id", request_id)]
    console().print(facts(*pairs))


def pricing_facts(account: admin_pb2.Account) -> list[tuple[str, str]]:
    """Say for a person which lists an account is on, and will be on."""
    since = ""
    if account.HasField("price_list_effective_time"):
        since = f", since {moment(account.price_list_effective_time)}"
    return [
        ("price list", f"{account.price_list or DEFAULT}{since}"),
        *(
            ("to come", f"{each.price_list or DEFAULT}, from {moment(each.effective_time)}")
            for each in account.upcoming_price_lists
        ),
    ]


def account_prices(ledger: Ledger, account_id: str, at: datetime | None) -> AccountPrices:
    """Ask which list an account pays by at a moment (None: now), and which after it."""
    request = ledger_pb2.GetOverviewRequest(account_id=account_id)
    overview = ledger.call(ledger.ledger.GetOverview, request)
    lists = [*([overview.prices] if overview.HasField("prices") else []), *overview.upcoming_prices]
    by = overview.as_of if at is None else times.to_timestamp(at)
    begun = [each for each in lists if each.effective_time.ToMicroseconds() <= by.ToMicroseconds()]
    if begun and begun[-1].version:
        return AccountPrices(begun[-1], lists[len(begun) :])
    word = f"account {account_id}"
    if overview.HasField("prices") and not begun:
        raise CommandError(
            f"{word} pays by the present list from {moment(lists[0].effective_time)} on; what it paid by "
            "before is not kept",
            reason=Why.NO_SUCH_PRICE_LIST,
        )
    raise CommandError(
        f"no price list is in force for {word} then, so every endpoint is free",
        reason=Why.NO_SUCH_PRICE_LIST,
    )
