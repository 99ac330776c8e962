"""`tollkeeper prices`: publish a price list, show the one in force, list them all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tollkeeper.cli import times
from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.json_form import to_dict
from tollkeeper.cli.options import (
    DEFAULT_SERVER,
    Json,
    RequestId,
    Server,
    Zone,
    examples,
    new_request_id,
)
from tollkeeper.cli.prices_file import PriceFile, read_prices
from tollkeeper.cli.screen import (
    amount,
    console,
    count,
    moment,
    print_json,
    print_json_value,
    table,
)
from tollkeeper.v1 import admin_pb2, prices_pb2

PAGE_SIZE = 100

commands = typer.Typer(no_args_is_help=True)


@commands.command(
    "publish",
    epilog=examples(
        "tollkeeper prices publish prices.toml",
        "tollkeeper prices publish prices.toml --effective 2027-01-01 --zone Europe/Berlin",
    ),
)
def publish(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The whole list as TOML, with [[price]] entries.")
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
    screen.print(price_table(answer.prices))
    screen.print(f"request_id {escape(request_id)}", style="dim")


@commands.command(
    "show", epilog=examples("tollkeeper prices show", "tollkeeper prices show --version 3 --json")
)
def show(
    *,
    version: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Which list.", show_default="the one in force"),
    ] = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Show the price list in force, or another by its version."""
    with connect(server) as ledger:
        lists = _all_lists(ledger)
    found = _in_force(lists) if version is None else _by_version(lists, version)
    if json:
        print_json(found)
        return
    screen = console()
    screen.print(
        f"price list version {found.version}, from {moment(found.effective_time)}"
        + (f": {escape(found.note)}" if found.note else "")
    )
    screen.print(price_table(found))
    screen.print(unlisted_sentence(found))


@commands.command("list", epilog=examples("tollkeeper prices list"))
def list_prices(*, server: Server = DEFAULT_SERVER, json: Json = False) -> None:
    """List every price list, newest first."""
    with connect(server) as ledger:
        lists = _all_lists(ledger)
    if json:
        print_json_value({"price_lists": [to_dict(each) for each in lists]})
        return
    rows = table("version", "from", "prices", "unlisted", "note", numbers=("version", "prices"))
    for each in lists:
        rows.add_row(
            amount(each.version),
            moment(each.effective_time),
            amount(len(each.prices)),
            _unlisted(each),
            escape(each.note),
        )
    screen = console()
    if lists:
        screen.print(rows)
    screen.print(count(len(lists), "price list"))


def to_message(file: PriceFile) -> prices_pb2.PriceList:
    """Return a price list as the protos carry it."""
    return prices_pb2.PriceList(
        prices=[
            prices_pb2.Price(
                method=price.method,
                path=price.path,
                credits=price.credits,
                note=price.note,
                charge_on=price.charge_on,
            )
            for price in file.prices
        ],
        unlisted=prices_pb2.PriceList.Unlisted.ValueType(file.unlisted),
        note=file.note,
    )


def price_table(prices: prices_pb2.PriceList) -> Table:
    """Return the prices of a list, for a person."""
    has_rules = any(price.charge_on for price in prices.prices)
    columns = ("method", "path", "credits", *(("charged on",) if has_rules else ()), "note")
    rows = table(*columns, numbers=("credits",))
    for price in prices.prices:
        rule = (", ".join(price.charge_on) or "2xx, 3xx",) if has_rules else ()
        rows.add_row(
            price.method, escape(price.path), amount(price.credits), *rule, escape(price.note)
        )
    return rows


def unlisted_sentence(prices: prices_pb2.PriceList) -> str:
    """Say what becomes of the endpoints that a list does not name."""
    return f"all other endpoints are {_unlisted(prices)}"


def _unlisted(prices: prices_pb2.PriceList) -> str:
    return "denied" if prices.unlisted == prices_pb2.PriceList.UNLISTED_DENIED else "free"


def _all_lists(ledger: Ledger) -> list[prices_pb2.PriceList]:
    lists: list[prices_pb2.PriceList] = []
    token = ""
    while True:
        request = admin_pb2.ListPricesRequest(page_size=PAGE_SIZE, page_token=token)
        page = ledger.call(ledger.admin.ListPrices, request)
        lists.extend(page.price_lists)
        token = page.next_page_token
        if not token:
            return lists


def _in_force(lists: list[prices_pb2.PriceList]) -> prices_pb2.PriceList:
    now = times.now()
    past = [each for each in lists if times.from_timestamp(each.effective_time) <= now]
    if not past:
        raise CommandError(
            "no price list is in force, so every endpoint is free; "
            "publish one with: tollkeeper prices publish FILE"
        )
    return max(past, key=lambda each: (each.effective_time.ToMicroseconds(), each.version))


def _by_version(lists: list[prices_pb2.PriceList], version: int) -> prices_pb2.PriceList:
    for each in lists:
        if each.version == version:
            return each
    newest = max((each.version for each in lists), default=0)
    raise CommandError(f"there is no price list version {version}; the newest is {newest}")
