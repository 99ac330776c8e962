"""`tollkeeper prices show`: the price list of a name, of a moment, or of an account, for a person or a program."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.accounts.price_list import account_prices
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import CommandError, Why, exclude_each_other
from tollkeeper.cli.options import Csv, Json, ListName, Server, Zone, examples
from tollkeeper.cli.prices import csv_form, price_lists
from tollkeeper.cli.prices.page import markdown_page, price_table, unlisted_sentence
from tollkeeper.cli.prices.price_lists import Standing, from_message
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.screen import console, moment, print_json
from tollkeeper.core.pricing.price_lists import DEFAULT_LIST

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.cli.accounts.price_list import AccountPrices
    from tollkeeper.cli.prices.price_lists import Lists
    from tollkeeper.v1 import prices_pb2

commands = typer.Typer()

Version = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Which list.", show_default="the one in force"),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="The list that holds at a moment: a date, a time with its zone, or +7d.",
        show_default="now",
    ),
]
OfAccount = Annotated[
    str | None,
    typer.Option("--account", metavar="ID", help="The list that this account pays by."),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a public page.")]


class Form(StrEnum):
    """How a list is shown."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


@commands.command(
    "show",
    epilog=examples(
        "tollkeeper prices show",
        "tollkeeper prices show --version 3 --json",
        "tollkeeper prices show --at 2027-01-01 --zone Europe/Berlin --markdown",
        "tollkeeper prices show --name partner",
        "tollkeeper prices show --account acme --at +30d",
    ),
)
def show(  # noqa: PLR0913 - an option each
    *,
    version: Version = None,
    at: At = None,
    zone: Zone = "UTC",
    name: ListName = None,
    account: OfAccount = None,
    markdown: Markdown = False,
    csv: Csv = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Show the price list in force, that of another moment or of an account, or another by its version.

    What --json and --csv print can be published again.
    """
    asked = {Form.MARKDOWN: markdown, Form.CSV: csv, Form.JSON: json}
    forms = [form for form, is_asked in asked.items() if is_asked]
    _exclude([f"--{form}" for form in forms])
    named = {"--version": version, "--name": name, "--account": account}
    chosen = [option for option, value in named.items() if value is not None]
    _exclude([*chosen, *(["--at"] if version is not None and at is not None else [])])
    form = forms[0] if forms else Form.TABLE
    now, zone_info = times.now(), times.parse_zone(zone)
    moment_ = None if at is None else times.parse_time("--at", at, zone=zone_info, now=now)
    with connect(server) as ledger:
        if account is not None:
            _print_of_account(account_prices(ledger, account, moment_), account, form)
            return
        lists = price_lists.all_lists(ledger, None if version is not None else name or DEFAULT_LIST)
    if version is not None:
        prices = price_lists.by_version(lists, version)
    elif at is not None and moment_ is not None:
        prices = _holding_at(lists, name, moment_, at)
    else:
        prices = price_lists.in_force(lists, name or DEFAULT_LIST)
    _print_list(prices, lists, form)


def _exclude(options: list[str]) -> None:
    if len(options) > 1:
        raise exclude_each_other(*options[:2])


def _holding_at(
    lists: Lists, name: str | None, moment_: datetime, word: str
) -> prices_pb2.PriceList:
    """Return the list that holds at a moment, which is `word` for a person."""
    held = price_lists.holding_at(lists, moment_)
    if held is not None:
        return held
    if name:
        raise CommandError(f"no price list {name} holds at {word}", reason=Why.NO_SUCH_PRICE_LIST)
    raise CommandError(
        f"no price list holds at {word}, so every endpoint is free then",
        reason=Why.NO_SUCH_PRICE_LIST,
    )


def _print_of_account(pays: AccountPrices, account_id: str, form: Form) -> None:
    if form is not Form.TABLE:
        _print_form(pays.prices, form)
        return
    screen = console()
    screen.print(
        f"account {account_id} pays by {price_lists.title(pays.prices)}"
        f" version {pays.prices.version}, from {moment(pays.prices.effective_time)}"
    )
    file = from_message(pays.prices)
    screen.print(price_table(file))
    screen.print(unlisted_sentence(file))
    for each in pays.to_come:
        since = moment(each.effective_time)
        which = f"{price_lists.title(each)} version {each.version}" if each.version else "none"
        screen.print(f"to come: {which}, from {since}")


def _print_form(found: prices_pb2.PriceList, form: Form) -> None:
    """Print a list for a program, or for a page."""
    file = from_message(found)
    if form is Form.JSON:
        print_json(found)
    elif form is Form.CSV:
        streams.write_data(csv_form.write_csv(*file))
    else:
        streams.write_data(markdown_page(file))


def _print_list(found: prices_pb2.PriceList, lists: Lists, form: Form) -> None:
    if form is not Form.TABLE:
        _print_form(found, form)
        return
    screen = console()
    now = times.now()
    state = price_lists.standing(found, lists, now)
    screen.print(
        f"{price_lists.title(found)} version {found.version}, {state}: "
        + _period(found, lists, state)
        + (f": {found.note}" if found.note else "")
    )
    file = from_message(found)
    screen.print(price_table(file))
    screen.print(unlisted_sentence(file))
    for each in price_lists.to_come(price_lists.of_name(lists, found.name), now):
        if each.version != found.version:
            screen.print(f"to come: version {each.version}, from {moment(each.effective_time)}")


def _period(found: prices_pb2.PriceList, lists: Lists, state: Standing) -> str:
    """Say from when to when a list holds."""
    since = f"from {moment(found.effective_time)}"
    if state is Standing.REPLACED:
        return f"was to hold {since}"
    following = price_lists.successor(found, lists)
    return f"{since} to {moment(following.effective_time)}" if following is not None else since
