"""`tollkeeper prices`: publish a price list, list them all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.accounts.price_list import DEFAULT
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.options import (
    Effective,
    Json,
    RequestId,
    Server,
    Zone,
    examples,
    new_request_id,
)
from tollkeeper.cli.prices import price_lists
from tollkeeper.cli.prices.file import read_prices
from tollkeeper.cli.prices.price_lists import from_message, to_message
from tollkeeper.cli.prices.published import print_published
from tollkeeper.cli.prices.reading import unlisted_word
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.cli.terminal.screen import (
    amount,
    console,
    count,
    moment,
    print_json,
    print_json_value,
    table,
)
from tollkeeper.v1 import admin_pb2

commands = typer.Typer(no_args_is_help=True)


@commands.command(
    "publish",
    epilog=examples(
        "tollkeeper prices publish prices.toml",
        "tollkeeper prices publish prices.csv --effective 2027-01-01 --zone Europe/Berlin",
        "tollkeeper prices publish partner.csv --name partner",
    ),
)
def publish(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The whole list: TOML with [[price]] entries, or as `show --json` or `show --csv` "
            "print it, in a file that ends in .json or .csv.",
        ),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="For the accounts that are on the list of this name.",
            show_default="the name in FILE, or the default list",
        ),
    ] = None,
    effective: Effective = times.NOW,
    zone: Zone = "UTC",
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="Publish FILE also where it has no prices."),
    ] = False,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Publish the price list of a name that holds from a moment on, and say what it changes.

    It is whole: what it does not name, the default list is not asked for.
    """
    read = read_prices(file)
    if not read.prices and not allow_empty:
        raise CommandError(
            f"{file}: has no prices, so every endpoint would be {unlisted_word(read.unlisted)}; "
            "add --allow-empty if that is meant",
            reason=Why.FILE_INVALID,
        )
    prices = to_message(read)
    if name is not None:
        prices.name = name
    begins = times.parse_effective(effective, zone)
    if begins is not None:
        prices.effective_time.CopyFrom(begins)
    request_id = new_request_id(request_id)
    request = admin_pb2.PublishPricesRequest(
        prices=prices, request_id=request_id, allow_empty=allow_empty
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.PublishPrices, request, request_id=request_id)
        lists = [] if json else price_lists.all_lists(ledger, answer.prices.name)
    if json:
        print_json(answer, request_id=request_id)
        return
    print_published(answer.prices, lists, replayed=answer.replayed)
    console().print(f"request_id {request_id}", "dim", whole=True)


@commands.command(
    "list", epilog=examples("tollkeeper prices list", "tollkeeper prices list --name partner")
)
def list_prices(
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help='Only lists of this name; "" for the default list.',
            show_default="of every name",
        ),
    ] = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """List every price list, newest first, and say which is in force and which are to come."""
    with connect(server) as ledger:
        lists = price_lists.all_lists(ledger, name)
    now = times.now()
    states = [price_lists.standing(each, lists, now) for each in lists]
    if json:
        values = [
            {**to_dict(each), "standing": state.value.replace(" ", "_")}
            for each, state in zip(lists, states, strict=True)
        ]
        print_json_value({"price_lists": values})
        return
    has_names = any(each.name for each in lists)
    names = ("name",) if has_names else ()
    columns = ("version", *names, "standing", "from", "prices", "unlisted", "note")
    rows = table(*columns, numbers=("version", "prices"), ids=("name", "standing", "from"))
    for each, state in zip(lists, states, strict=True):
        rows.add_row(
            amount(each.version),
            *((each.name or DEFAULT,) if has_names else ()),
            state.value,
            moment(each.effective_time),
            amount(len(each.prices)),
            unlisted_word(from_message(each).unlisted),
            each.note,
        )
    screen = console()
    if lists:
        screen.print(rows)
    screen.print(count(len(lists), "price list"))
