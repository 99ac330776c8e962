"""`tollkeeper prices`: publish a price list, show the one that holds, list them all."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tollkeeper.cli import price_lists, prices_csv, times
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import CommandError, wrong_usage
from tollkeeper.cli.json_form import to_dict
from tollkeeper.cli.options import (
    DEFAULT_SERVER,
    Csv,
    Json,
    RequestId,
    Server,
    Zone,
    examples,
    new_request_id,
)
from tollkeeper.cli.price_lists import Standing, from_message, to_message
from tollkeeper.cli.prices_file import read_prices
from tollkeeper.cli.prices_page import (
    markdown_page,
    price_table,
    unlisted_sentence,
    unlisted_word,
)
from tollkeeper.cli.screen import (
    amount,
    console,
    count,
    moment,
    print_json,
    print_json_value,
    table,
)
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from tollkeeper.cli.price_lists import Lists
    from tollkeeper.v1 import prices_pb2

commands = typer.Typer(no_args_is_help=True)


class Form(StrEnum):
    """How a list is shown."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


@commands.command(
    "publish",
    epilog=examples(
        "tollkeeper prices publish prices.toml",
        "tollkeeper prices publish prices.csv --effective 2027-01-01 --zone Europe/Berlin",
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
    effective: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="From when on it holds: a date, a time with its zone, or +7d."
        ),
    ] = times.NOW,
    zone: Zone = "UTC",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Publish the price list that holds from a moment on."""
    prices = to_message(read_prices(file))
    # Now is the server's to say: by its clock, ours may already have passed.
    if effective != times.NOW:
        moment_ = times.parse_time(
            "--effective", effective, zone=times.parse_zone(zone), now=times.now()
        )
        prices.effective_time.CopyFrom(times.to_timestamp(moment_))
    request_id = new_request_id(request_id)
    request = admin_pb2.PublishPricesRequest(prices=prices, request_id=request_id)
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.PublishPrices, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "was published before; it holds" if answer.replayed else "holds"
    screen = console()
    screen.print(
        f"version {answer.prices.version} {done} from {moment(answer.prices.effective_time)}"
    )
    screen.print(price_table(from_message(answer.prices)))
    screen.print(f"request_id {escape(request_id)}", style="dim")


@commands.command(
    "show",
    epilog=examples(
        "tollkeeper prices show",
        "tollkeeper prices show --version 3 --json",
        "tollkeeper prices show --at 2027-01-01 --zone Europe/Berlin --markdown",
    ),
)
def show(
    *,
    version: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Which list.", show_default="the one in force"),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="The list that holds at a moment: a date, a time with its zone, or +7d.",
            show_default="now",
        ),
    ] = None,
    zone: Zone = "UTC",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for a public page.")
    ] = False,
    csv: Csv = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Show the price list in force, that of another moment, or another by its version.

    What --json and --csv print can be published again.
    """
    asked = {Form.MARKDOWN: markdown, Form.CSV: csv, Form.JSON: json}
    forms = [form for form, is_asked in asked.items() if is_asked]
    if len(forms) > 1:
        raise wrong_usage(f"--{forms[0]} and --{forms[1]} exclude each other")
    if version is not None and at is not None:
        raise wrong_usage("--version and --at exclude each other")
    now, zone_info = times.now(), times.parse_zone(zone)
    moment_ = None if at is None else times.parse_time("--at", at, zone=zone_info, now=now)
    with connect(server) as ledger:
        lists = price_lists.all_lists(ledger)
    if version is not None:
        found = price_lists.by_version(lists, version)
    elif moment_ is not None:
        held = price_lists.holding_at(lists, moment_)
        if held is None:
            raise CommandError(f"no price list holds at {at}, so every endpoint is free then")
        found = held
    else:
        found = price_lists.in_force(lists)
    _print_list(found, lists, forms[0] if forms else Form.TABLE)


def _print_list(found: prices_pb2.PriceList, lists: Lists, form: Form) -> None:
    file = from_message(found)
    if form is Form.JSON:
        print_json(found)
    elif form is Form.CSV:
        sys.stdout.write(prices_csv.write_csv(*file))
    elif form is Form.MARKDOWN:
        sys.stdout.write(markdown_page(file))
    else:
        screen = console()
        now = times.now()
        state = price_lists.standing(found, lists, now)
        screen.print(
            f"price list version {found.version}, {state}: {_period(found, lists, state)}"
            + (f": {escape(found.note)}" if found.note else "")
        )
        screen.print(price_table(file))
        screen.print(unlisted_sentence(file))
        for each in price_lists.to_come(lists, now):
            if each.version != found.version:
                screen.print(f"to come: version {each.version}, from {moment(each.effective_time)}")


def _period(found: prices_pb2.PriceList, lists: Lists, state: Standing) -> str:
    """Say from when to when a list holds."""
    since = f"from {moment(found.effective_time)}"
    if state is Standing.REPLACED:
        return f"was to hold {since}"
    following = price_lists.successor(found, lists)
    return f"{since} to {moment(following.effective_time)}" if following is not None else since


@commands.command("list", epilog=examples("tollkeeper prices list"))
def list_prices(*, server: Server = DEFAULT_SERVER, json: Json = False) -> None:
    """List every price list, newest first, and say which is in force and which are to come."""
    with connect(server) as ledger:
        lists = price_lists.all_lists(ledger)
    now = times.now()
    states = [price_lists.standing(each, lists, now) for each in lists]
    if json:
        values = [
            {**to_dict(each), "standing": state.value.replace(" ", "_")}
            for each, state in zip(lists, states, strict=True)
        ]
        print_json_value({"price_lists": values})
        return
    columns = ("version", "standing", "from", "prices", "unlisted", "note")
    rows = table(*columns, numbers=("version", "prices"))
    for each, state in zip(lists, states, strict=True):
        rows.add_row(
            amount(each.version),
            state.value,
            moment(each.effective_time),
            amount(len(each.prices)),
            unlisted_word(from_message(each).unlisted),
            escape(each.note),
        )
    screen = console()
    if lists:
        screen.print(rows)
    screen.print(count(len(lists), "price list"))
